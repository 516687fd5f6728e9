package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// redirect makes the descriptor of an open file refer to another file until undo.
func redirect(t *testing.T, open *os.File, path string) (undo func()) {
	t.Helper()
	fd := int(open.Fd())
	saved, err := syscall.Dup(fd)
	require.NoError(t, err)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Dup3(int(f.Fd()), fd, 0))
	require.NoError(t, f.Close())
	return func() {
		require.NoError(t, syscall.Dup3(saved, fd, 0))
		require.NoError(t, syscall.Close(saved))
	}
}

// TestFailedFsync makes fdatasync fail (as it does on /dev/null). The store stops writing to
// the file, and no later write is acknowledged.
func TestFailedFsync(t *testing.T) {
	dir := t.TempDir()
	var o observer
	files := make(map[string]*os.File)
	open := func(name string, flag int, perm os.FileMode) (f *os.File, err error) {
		f, err = os.OpenFile(name, flag, perm)
		files[filepath.Base(name)] = f
		return f, err
	}
	db, err := Open(dir, Options{Options: runs.Options{Observer: &o, OpenFile: open}})
	require.NoError(t, err)
	put := func(key string) error {
		return db.PutValue(start, records.Value{Key: []byte(key), Expires: start.Add(time.Hour)}, nil)
	}
	require.NoError(t, put("before"))
	undo := redirect(t, files[FileName], os.DevNull)

	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { require.ErrorIs(t, put(string(wideKey(i))), ErrFailed) })
	}
	wg.Wait()
	require.ErrorIs(t, db.Err(), ErrFailed)
	require.NotEmpty(t, o.errors())
	undo() // the disk works again, but what it lost is unknown
	require.ErrorIs(t, put("x"), ErrFailed)
	require.ErrorIs(t, db.Publish(records.Published{Key: []byte("k")}), ErrFailed)
	require.ErrorIs(t, db.Flush(), ErrFailed)
	_, err = db.Value(start, []byte("before"))
	require.NoError(t, err, "reads keep working")
	provide(t, db, start, "k", "p", time.Hour, true) // its files are separate
	require.NoError(t, db.Close())

	db = openTest(t, dir, Options{})
	require.Nil(t, db.Quarantined())
	require.False(t, db.CleanStart())
	_, err = db.Value(start, []byte("before"))
	require.NoError(t, err)
	require.NoError(t, put("after"))
	ps, err := db.Providers(nil, start, []byte("k"), 1)
	require.NoError(t, err)
	require.Len(t, ps, 1)
}

// TestFullDisk fills a small file system. Writes are refused, reads keep working, and the
// store recovers when there is space again.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	defer func() { require.NoError(t, syscall.Unmount(dir, 0)) }()
	store := filepath.Join(dir, "store")
	var o observer
	db, err := Open(store, Options{Options: runs.Options{Observer: &o}})
	require.NoError(t, err)
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 3<<20), 0o600))
	put := func(i int) error {
		return db.PutValue(start, records.Value{Key: wideKey(i), Value: make([]byte, 9000), Expires: start.Add(time.Hour)}, nil)
	}
	n := 0
	for ; n < 2000; n++ {
		if err := put(n); err != nil {
			require.ErrorIs(t, err, ErrFull)
			require.ErrorIs(t, err, syscall.ENOSPC)
			break
		}
	}
	require.Greater(t, n, 50)
	require.ErrorIs(t, put(n), ErrFull, "still full")
	require.NoError(t, db.Err())
	require.Positive(t, db.Stats().RefusedWrites)
	require.NotEmpty(t, o.errors())
	for i := range n {
		_, err := db.Value(start, wideKey(i))
		require.NoError(t, err, "reads keep working")
	}
	r, err := db.Check()
	require.NoError(t, err)
	require.Empty(t, r.Problems)

	require.NoError(t, os.Remove(ballast))
	for i := range 100 {
		require.NoError(t, put(n+i), "the store recovers")
	}
	require.NoError(t, db.Close())
	require.NoError(t, os.WriteFile(ballast, make([]byte, 1<<10), 0o600))
	require.EqualValues(t, n+100, requireSound(t, store).Records[records.KindValue])
}

// TestOpenOnFullDisk checks that an existing store opens and can be read without any free
// space.
func TestOpenOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	defer func() { require.NoError(t, syscall.Unmount(dir, 0)) }()
	store := filepath.Join(dir, "store")
	db, err := Open(store, Options{})
	require.NoError(t, err)
	provide(t, db, start, "k", "p", time.Hour, true)
	require.NoError(t, db.Close())
	_ = os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 8<<20), 0o600)

	db, err = Open(store, Options{})
	require.NoError(t, err)
	ps, err := db.Providers(nil, start, []byte("k"), 1)
	require.NoError(t, err)
	require.Len(t, ps, 1)
	_ = db.Close() // the clean-shutdown mark may not fit
	require.NoError(t, os.Remove(filepath.Join(dir, "ballast")))
	requireSound(t, store)
}

func TestCannotGrow(t *testing.T) {
	path := func(op string, err error) error { return &fs.PathError{Op: op, Path: "f", Err: err} }
	for err, want := range map[error]bool{
		berrors.ErrMaxSizeReached:                          true,
		path("write", syscall.ENOSPC):                      true,
		path("write", syscall.EDQUOT):                      true,
		path("write", syscall.EFBIG):                       true,
		errors.New("file resize error: file too large"):    true,
		path("write", syscall.EIO):                         false,
		path("sync", syscall.ENOSPC):                       false,
		syscall.ENOSPC:                                     false, // fdatasync: delayed allocation failed
		syscall.EIO:                                        false,
		errors.New("file sync error: no space left"):       false,
		fmt.Errorf("x: %w", path("write", syscall.ENOSPC)): true,
	} {
		require.Equal(t, want, disk.CannotGrow(err), "%v", err)
	}
}

// A last commit that fails is an error of Close and is logged. The next start does not find the
// clean-shutdown mark.
func TestFailedLastCommit(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	db, err := Open(dir, Options{Options: runs.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}})
	require.NoError(t, err)
	require.NoError(t, db.Publish(records.Published{Key: []byte("k")}))
	db.file.Commit = func(tx *bbolt.Tx) error { _ = tx.Rollback(); return syscall.EIO } // the committer is idle
	err = db.Close()
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorIs(t, db.Err(), ErrFailed)
	require.Contains(t, log.String(), "no more writes until the next start")
	db = openTest(t, dir, Options{})
	require.False(t, db.CleanStart())
}

// A start goes on without the name of the program if the disk is full, and not after a failed
// fsync.
func TestFailedCommitOfTheProgram(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{Program: "test v1"})
	require.NoError(t, err)
	db.opts.Program = "test v2"
	fails := func(err error) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { _ = tx.Rollback(); return err }
	}
	db.file.Commit = fails(&fs.PathError{Op: "write", Err: syscall.ENOSPC}) // the committer is idle
	require.NoError(t, db.noteNames())
	require.NoError(t, db.Err())
	db.file.Commit = fails(syscall.EIO)
	require.ErrorIs(t, db.noteNames(), ErrFailed)
	require.ErrorIs(t, db.Err(), ErrFailed)
	require.ErrorIs(t, db.Publish(records.Published{Key: []byte("k")}), ErrFailed)
	require.NoError(t, db.Close())
	requireSound(t, dir)
}

// TestFailedCommit makes bbolt's commit fail in every way.
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
			dir := t.TempDir()
			db, err := Open(dir, Options{Options: runs.Options{CommitWindow: time.Minute}})
			require.NoError(t, err)
			provide(t, db, start, "before", "p", time.Hour, true)
			db.file.Commit = c.fail // the committer is idle
			err = db.Publish(records.Published{Key: []byte("k")})
			require.ErrorIs(t, err, c.want)
			require.EqualValues(t, 0, db.Stats().Published[0])
			db.file.Commit = (*bbolt.Tx).Commit
			err = db.Publish(records.Published{Key: []byte("k")})
			if errors.Is(c.want, ErrFull) {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, ErrFailed)
			}
			ps, err := db.Providers(nil, start, []byte("before"), 1)
			require.NoError(t, err)
			require.Len(t, ps, 1)
			require.NoError(t, db.Close())
			requireSound(t, dir)
		})
	}
}
