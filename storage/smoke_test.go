package storage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{})
	require.NoError(t, err)
	now := time.Now()
	for i := range 100 {
		require.NoError(t, db.AddProvider(now, []byte{byte(i)}, records.Provider{ID: "a", Addrs: [][]byte{{1}}, Expires: now.Add(time.Hour)}, i%2 == 0))
	}
	require.NoError(t, db.PutValue(now, records.Value{Key: []byte("k"), Value: []byte("v"), Expires: now.Add(time.Hour)}, nil))
	require.NoError(t, db.Flush())
	p, err := db.Providers(nil, now, []byte{7}, 10)
	require.NoError(t, err)
	require.Len(t, p, 1)
	r, err := db.Check()
	require.NoError(t, err)
	require.True(t, r.OK(), "%v", r.Problems)
	require.NoError(t, db.Close())
	r, err = Check(dir)
	require.NoError(t, err)
	require.True(t, r.OK(), "%v", r.Problems)
	q, err := Repair(dir, Options{})
	require.NoError(t, err)
	t.Logf("%+v", q)
	r, err = Check(dir)
	require.NoError(t, err)
	require.True(t, r.OK(), "%v", r.Problems)
	b, a, err := Compact(dir)
	require.NoError(t, err)
	t.Log(b, a)
}
