package storage

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// stalled accepts the first bytes of a backup, and the rest only once it is released, at the
// latest at the end of the test.
type stalled struct {
	once  sync.Once
	began chan struct{}
	held  chan struct{}
	goOn  func()
}

func newStalled(t *testing.T) *stalled {
	s := &stalled{began: make(chan struct{}), held: make(chan struct{})}
	s.goOn = sync.OnceFunc(func() { close(s.held) })
	t.Cleanup(s.goOn)
	return s
}

func (s *stalled) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.began) })
	<-s.held
	return len(p), nil
}

// backUp starts a backup to w. The channel receives its result.
func backUp(db *DB, w io.Writer) <-chan error {
	done := make(chan error, 1)
	go func() { _, err := db.Backup(w); done <- err }()
	return done
}

// A backup with a stalled reader is cancelled before writes are refused because of the pages
// that it pins: both the pages of provider records and those of the node's own keys.
func TestBackupOfASlowReader(t *testing.T) {
	const keys = 1000
	for name, write := range map[string]func(db *DB, now time.Time, i int) error{
		"providers": func(db *DB, now time.Time, i int) error { // republished records; every change uses new pages
			return db.AddProvider(now, fmt.Append(nil, "key", i%keys), providerOf("a", now.Add(48*time.Hour)), true)
		},
		"published": func(db *DB, now time.Time, i int) error {
			return db.Publish(records.Published{Kind: records.KindProvider, Key: fmt.Append(nil, "key", i%keys), Due: now})
		},
		"values": func(db *DB, now time.Time, i int) error {
			v := records.Value{Key: fmt.Append(nil, "/ipns/", i%keys), Value: make([]byte, 500), Expires: now.Add(48 * time.Hour)}
			return db.PutValue(now, v, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := openTest(t, t.TempDir(), Options{Options: runs.Options{NoSync: true, MaxBytes: MinMaxBytes}})
			now := start
			writeOne := func(i int) error { now = now.Add(time.Second); return write(db, now, i) }
			for i := range keys {
				require.NoError(t, writeOne(i))
			}
			r := newStalled(t)
			done := backUp(db, r)
			<-r.began
			held := func() bool { return db.pins.Held() || db.providers.Pinned() }
			i := 0
			for ; held(); i++ {
				require.Less(t, i, 100_000, "the backup is never cancelled")
				require.NoError(t, writeOne(i))
			}
			t.Logf("cancelled after %d writes", i)
			for i := range keys {
				require.NoError(t, writeOne(i))
			}
			sizes, err := db.Sizes()
			require.NoError(t, err)
			require.Less(t, sizes.Fill, 1.0)
			r.goOn()
			err = <-done
			require.Equal(t, ErrBackupSlow, err, "its sentence is complete; nothing wraps it")
			_, err = db.Backup(io.Discard)
			require.NoError(t, err, "a new backup succeeds")
		})
	}
}

// A slow backup of an idle database succeeds, and so does one that leaves the writes enough
// space.
func TestBackupIsCancelledOnlyForSpace(t *testing.T) {
	db := openTest(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	r := newStalled(t)
	done := backUp(db, r)
	<-r.began
	for i := range 500 {
		require.NoError(t, db.Publish(records.Published{Kind: records.KindProvider, Key: fmt.Append(nil, "key", i)}))
	}
	r.goOn()
	require.NoError(t, <-done)
}

// A reader that fails ends the backup and releases its pages.
func TestBackupOfAFailingReader(t *testing.T) {
	db := openTest(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	gone := errors.New("gone")
	_, err := db.Backup(failing{gone})
	require.ErrorIs(t, err, gone)
	require.False(t, db.pins.Held())
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
