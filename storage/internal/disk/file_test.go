package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// fileOptions returns the options of a small file of either store.
func fileOptions(listAtClose bool) FileOptions {
	return FileOptions{
		MaxBytes: 4 << 20, MinGrowth: 64 << 10, MaxGrowth: 1 << 20, PageSize: 4096,
		ListAtClose: listAtClose, LockTimeout: -1, NoSync: true, Pins: new(Pins),
	}
}

var testBucket = []byte("rows")

// put writes a row.
func put(f *File, key string, size int) error {
	return f.Update(func(tx *bbolt.Tx) error { return putRow(tx, key, size) })
}

func putRow(tx *bbolt.Tx, key string, size int) error {
	b, err := tx.CreateBucketIfNotExists(testBucket)
	if err != nil {
		return err
	}
	return b.Put([]byte(key), make([]byte, size))
}

// has reports whether a row exists.
func has(t *testing.T, f *File, key string) (found bool) {
	t.Helper()
	require.NoError(t, f.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(testBucket)
		found = b != nil && b.Get([]byte(key)) != nil
		return nil
	}))
	return found
}

// eachKind runs a test with the options of both stores.
func eachKind(t *testing.T, test func(t *testing.T, path string, o FileOptions)) {
	for name, listAtClose := range map[string]bool{"ListAlways": false, "ListAtClose": true} {
		t.Run(name, func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "file.db"), fileOptions(listAtClose)) })
	}
}

// openedFile opens a file and puts a row into it.
func openedFile(t *testing.T, path string, o FileOptions) *File {
	t.Helper()
	f, err := OpenFile(path, o)
	require.NoError(t, err)
	require.NoError(t, put(f, "a", 10))
	return f
}

// A file keeps what was committed, is locked while open, and may be closed twice.
func TestFile(t *testing.T) {
	eachKind(t, func(t *testing.T, path string, o FileOptions) {
		f := openedFile(t, path, o)
		_, err := OpenFile(path, o)
		require.ErrorIs(t, err, ErrLocked)
		refused := errors.New("refused")
		err = f.Update(func(tx *bbolt.Tx) error { return FirstErr(putRow(tx, "b", 10), refused) })
		require.Equal(t, refused, err, "as it is")
		require.False(t, has(t, f, "b"))
		require.NoError(t, f.Close(func(tx *bbolt.Tx) error { return putRow(tx, "last", 10) }))
		require.ErrorIs(t, f.View(func(*bbolt.Tx) error { return nil }), records.ErrClosed)
		_, err = f.Begin()
		require.ErrorIs(t, err, records.ErrClosed)
		require.NotErrorIs(t, err, ErrFailed)
		require.NoError(t, f.Close(nil))

		o.ReadOnly = true
		f, err = OpenFile(path, o)
		require.NoError(t, err)
		require.True(t, has(t, f, "a"))
		require.True(t, has(t, f, "last"))
		require.NoError(t, f.Close(nil))
	})
}

// A file at its maximum length refuses a commit, and accepts the next one that fits.
func TestFileFull(t *testing.T) {
	eachKind(t, func(t *testing.T, path string, o FileOptions) {
		f := openedFile(t, path, o)
		require.False(t, f.Capacity().Full())
		require.ErrorIs(t, put(f, "big", 5<<20), records.ErrFull)
		require.False(t, has(t, f, "big"))
		require.NoError(t, put(f, "most", 2700<<10))
		require.True(t, f.Capacity().Full())
		require.Positive(t, f.Left())
		require.Equal(t, f.Used()+f.Unused(), f.high.Load())
		require.LessOrEqual(t, f.Size(), o.MaxBytes)
		require.NoError(t, f.Close(nil))
	})
}

// After every commit, the reported length is that of the file, whether or not it has grown.
func TestFileSize(t *testing.T) {
	eachKind(t, func(t *testing.T, path string, o FileOptions) {
		f := openedFile(t, path, o)
		lengths := make(map[int64]bool)
		for i := range 200 {
			err := put(f, strconv.Itoa(i), 16<<10)
			if err != nil {
				require.ErrorIs(t, err, records.ErrFull)
			}
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, info.Size(), f.Size(), "commit %d", i)
			require.LessOrEqual(t, f.Used()+f.Unused(), f.Size())
			lengths[info.Size()] = true
		}
		require.Greater(t, len(lengths), 5, "it has grown")
		require.NoError(t, f.Close(nil))
	})
}

// Damage found in a transaction rolls it back. Damage found in a commit fails the file, and
// Close then skips its last commit. Either way the file is closed and unlocked afterwards.
func TestFilePanics(t *testing.T) {
	eachKind(t, func(t *testing.T, path string, o FileOptions) {
		f := openedFile(t, path, o)
		require.ErrorIs(t, f.View(func(*bbolt.Tx) error { panic("damaged page") }), ErrCorrupt)
		require.ErrorIs(t, f.Update(func(*bbolt.Tx) error { panic("damaged page") }), ErrCorrupt)
		require.NoError(t, put(f, "b", 10))
		f.Commit = func(*bbolt.Tx) error { panic("damaged page") }
		err := put(f, "c", 10)
		require.ErrorIs(t, err, ErrFailed)
		require.ErrorIs(t, err, ErrCorrupt)
		require.False(t, f.stuck.Load(), "the lock of the writer is free")
		require.True(t, has(t, f, "b"))
		require.NoError(t, f.Close(func(*bbolt.Tx) error {
			t.Error("a file that a commit has failed on is written again")
			return nil
		}))

		f, err = OpenFile(path, o)
		require.NoError(t, err)
		require.True(t, has(t, f, "b"))
		require.False(t, has(t, f, "c"))
		require.False(t, has(t, f, "last"))
		require.NoError(t, f.Close(nil))
	})
}

// If bbolt panics while a transaction begins, it keeps its locks. The file can still be
// closed, and opens again after the damage is repaired.
func TestFileStuck(t *testing.T) {
	eachKind(t, func(t *testing.T, path string, o FileOptions) {
		f := openedFile(t, path, o)
		undo := overwrite(t, path, 2*o.PageSize) // the meta pages
		err := put(f, "b", 10)
		require.ErrorIs(t, err, ErrFailed)
		require.ErrorIs(t, err, ErrCorrupt)
		require.True(t, f.stuck.Load())
		require.NoError(t, f.Close(func(tx *bbolt.Tx) error { return putRow(tx, "last", 10) }), "and does not hang")
		_, err = OpenFile(path, o)
		require.ErrorIs(t, err, ErrCorrupt)
		undo()
		f, err = OpenFile(path, o)
		require.NoError(t, err)
		require.True(t, has(t, f, "a"))
		require.NoError(t, f.Close(nil))
	})
}

// overwrite replaces the first bytes of a file with zeros until undo.
func overwrite(t *testing.T, path string, size int) (undo func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	old := make([]byte, size)
	_, err = f.ReadAt(old, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(make([]byte, size), 0)
	require.NoError(t, err)
	return func() {
		_, err := f.WriteAt(old, 0)
		require.NoError(t, errors.Join(err, f.Close()))
	}
}

// The file grows in steps of an eighth of its used pages, within its bounds.
func TestFileGrowth(t *testing.T) {
	f := &File{o: FileOptions{MinGrowth: 100, MaxGrowth: 1000}}
	for high, want := range map[int64]int{0: 100, 799: 100, 1600: 200, 8000: 1000, 80_000: 1000} {
		f.high.Store(high)
		require.Equal(t, want, f.step(), "at %d", high)
	}
}

// Only the first cause of a failure is kept. It is an ErrFailed and says so once.
func TestFailure(t *testing.T) {
	var f Failure
	require.NoError(t, f.Err())
	one, two := fmt.Errorf("%w: one", ErrFailed), errors.New("two")
	err, first := f.Set(one)
	require.True(t, first)
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, one)
	again, first := f.Set(two)
	require.False(t, first)
	require.Equal(t, err, again)
	require.Equal(t, err, f.Err())

	f = Failure{}
	err, _ = f.Set(two)
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, two)
}
