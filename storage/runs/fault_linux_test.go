package runs

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// swapper holds the files of a store, to replace one of them with a device.
type swapper struct {
	mu    sync.Mutex
	files map[string]*os.File
}

func (w *swapper) open(name string, flag int, perm os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag, perm)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.files == nil {
		w.files = make(map[string]*os.File)
	}
	w.files[name] = f
	return f, err
}

// swap replaces the file with the device and returns a function that restores it. /dev/null
// accepts writes but no fsync; /dev/full accepts no writes.
func (w *swapper) swap(t *testing.T, path, device string) (undo func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fd := int(w.files[path].Fd())
	kept, err := syscall.Dup(fd)
	require.NoError(t, err)
	d, err := os.OpenFile(device, os.O_RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Dup3(int(d.Fd()), fd, 0))
	require.NoError(t, d.Close())
	return func() {
		require.NoError(t, syscall.Dup3(kept, fd, 0))
		require.NoError(t, syscall.Close(kept))
	}
}

// TestFsyncFails checks that after a failed fsync nothing more is acknowledged, stored
// records are still served, and the next open finds them.
func TestFsyncFails(t *testing.T) {
	for _, name := range []string{LogName, RunsName} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var w swapper
			o := tiny()
			o.NoSync, o.OpenFile = false, w.open
			s := open(t, dir, o)
			for i := range 30 {
				require.NoError(t, s.addAt(start, i, true))
			}
			undo := w.swap(t, dir+"/"+name, "/dev/null")
			acked := 30
			var err error
			for ; acked < 1000; acked++ {
				if err = s.addAt(start, acked, true); err != nil {
					break
				}
			}
			require.ErrorIs(t, err, ErrFailed)
			require.ErrorIs(t, s.Err(), ErrFailed)
			require.ErrorIs(t, s.addAt(start, 5000, false), ErrFailed)
			require.ErrorIs(t, s.RemoveProvider(start, []byte("key1"), "peer"), ErrFailed)
			_, err = s.Expire(start)
			require.ErrorIs(t, err, ErrFailed)
			undo()
			for i := range acked {
				require.True(t, s.hasAt(t, start, i))
			}
			require.NoError(t, s.Close())
			s = open(t, dir, tiny())
			require.False(t, s.CleanStart())
			for i := range acked {
				require.True(t, s.hasAt(t, start, i))
			}
			checked(t, s)
		})
	}
}

// TestDiskFull checks that a full disk refuses writes while reads keep working, and that
// writes succeed again when there is space.
func TestDiskFull(t *testing.T) {
	for _, name := range []string{LogName, RunsName} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var w swapper
			o := tiny()
			o.OpenFile, o.shape.retry = w.open, 20*time.Millisecond
			s := open(t, dir, o)
			acked := 0
			for ; acked < 30; acked++ {
				require.NoError(t, s.addAt(start, acked, true))
			}
			undo := w.swap(t, dir+"/"+name, "/dev/full")
			var err error
			for ; acked < 1000; acked++ {
				if err = s.addAt(start, acked, true); err != nil {
					break
				}
			}
			require.ErrorIs(t, err, ErrFull)
			require.NoError(t, s.Err())
			require.Positive(t, s.Stats().Refused.Full)
			for i := range acked {
				require.True(t, s.hasAt(t, start, i))
			}
			require.False(t, s.hasAt(t, start, acked))
			undo()
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				require.NoError(c, s.addAt(start, acked, true))
			}, time.Minute, 5*time.Millisecond)
			for i := range acked + 1 {
				require.True(t, s.hasAt(t, start, i))
			}
			checked(t, s)
		})
	}
}

// TestFreeingFails runs Expire after runs that cannot be freed.
func TestFreeingFails(t *testing.T) {
	o := tiny()
	o.shape.retry = time.Millisecond
	s := open(t, t.TempDir(), o)
	require.NoError(t, s.runs.Update(func(tx *bbolt.Tx) error {
		rows, err := disk.BucketOf(tx, bucketRuns)
		if err == nil {
			_, err = rows.CreateBucket(disk.U32(9999)) // a bucket in place of a row, which cannot be deleted as a row
		}
		return err
	}))
	failed := make(chan struct{})
	s.builder.discard([]*run{newRun(9999, epochRef{}, 0)}, failed)
	<-failed
	for i := range 200 {
		require.NoError(t, s.addAt(start, i, false))
	}
	require.NoError(t, s.Rotate())
	out, err := s.Expire(start.Add(4 * time.Hour))
	require.NoError(t, err)
	require.EqualValues(t, 200, out.Records[records.KindProvider])
	require.Empty(t, s.view.Load().runs)
}

// TestFailedCommit makes bbolt's commit fail in every way. Reads and a check keep working: a
// commit that panicked does not keep the writer lock.
func TestFailedCommit(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(tx *bbolt.Tx) error
		want error
	}{
		{"full", func(tx *bbolt.Tx) error {
			_ = tx.Rollback()
			return &fs.PathError{Op: "write", Err: syscall.ENOSPC}
		}, ErrFull},
		{"io", func(tx *bbolt.Tx) error { _ = tx.Rollback(); return syscall.EIO }, ErrFailed},
		{"panic", func(*bbolt.Tx) error { panic("damaged page") }, ErrFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, t.TempDir(), tiny())
			require.NoError(t, s.addAt(start, 1, true))
			s.log.Commit = c.fail // the committer is idle
			require.ErrorIs(t, s.addAt(start, 2, true), c.want)
			s.log.Commit = (*bbolt.Tx).Commit
			require.True(t, s.hasAt(t, start, 1))
			require.False(t, s.hasAt(t, start, 2))
			check(t, s)
			err := s.addAt(start, 2, true)
			if errors.Is(c.want, ErrFull) {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, ErrFailed)
			}
			require.NoError(t, s.Close())
		})
	}
}
