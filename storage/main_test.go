package storage

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/records/storetest"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// TestMain also runs the child processes of the crash tests.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(m)
}

// start is the time at which the tests begin.
var start = time.Date(2026, 3, 1, 12, 34, 56, 0, time.UTC)

// openTest opens a store. It is checked and closed at the end of the test.
func openTest(t testing.TB, dir string, o Options) *DB {
	t.Helper()
	db, err := Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, db.Close())
		requireSound(t, dir)
	})
	return db
}

// requireSound checks a closed store.
func requireSound(t testing.TB, dir string) Report {
	t.Helper()
	r, err := Check(dir, nil)
	require.NoError(t, err)
	require.Empty(t, r.Problems)
	return r
}

func provide(t testing.TB, db *DB, now time.Time, key, id string, ttl time.Duration, durable bool) {
	t.Helper()
	require.NoError(t, db.AddProvider(now, []byte(key), providerOf(id, now.Add(ttl)), durable))
}

func TestStore(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
	}{
		{"Synced", Options{}},
		{"TinyWindow", Options{Options: runs.Options{NoSync: true, CommitWindow: 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) (storetest.Stores, storetest.Reopen) {
				dir := t.TempDir()
				db := openTest(t, dir, c.o)
				return db, func() storetest.Stores {
					require.NoError(t, db.Close())
					requireSound(t, dir)
					db = openTest(t, dir, c.o)
					require.True(t, db.CleanStart())
					return db
				}
			})
		})
	}
}

func providerOf(id string, expires time.Time) records.Provider {
	p := records.Provider{Expires: expires, Addrs: [][]byte{[]byte("address of " + id)}}
	p.ID = peerID(id)
	return p
}
