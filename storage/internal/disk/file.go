package disk

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// FileOptions configures OpenFile.
type FileOptions struct {
	// MaxBytes bounds the length of the file.
	MaxBytes int64

	// MinGrowth and MaxGrowth bound the steps in which the file grows, with an fsync
	// each: an eighth of the pages that were ever used, within these bounds.
	MinGrowth, MaxGrowth int64

	// PageSize is that of a new file. Default: the machine's.
	PageSize int

	// ListAtClose writes the list of free pages at a clean close only. Written with every
	// commit, the list of a large file costs up to a megabyte each and, because it needs
	// many pages in a row, lets the file grow for ever. But without the list bbolt looks at
	// every page when it opens the file and after a failed commit, in a goroutine whose
	// panics nobody can recover: the file must be verified before.
	ListAtClose bool

	// LockTimeout is how long OpenFile waits for another process to let go of the file.
	// Zero or negative: not at all.
	LockTimeout time.Duration

	// ReadOnly opens the file without changing it, beside other readers.
	ReadOnly bool

	// NoSync leaves out fsync. For tests only.
	NoSync bool

	// OpenFile opens the file. Default os.OpenFile.
	OpenFile func(name string, flag int, perm os.FileMode) (*os.File, error)

	// Pins are the backups that may read the file.
	Pins *Pins
}

// File is an open bbolt file. What bbolt makes of damage, a panic or a fault in the
// mapping, is ErrCorrupt in all methods: a disk must not stop the process.
//
// Anybody may read. One goroutine at a time writes, either with Update or with Begin,
// then Finish or Rollback. An error that wraps ErrFailed says that nothing is known of
// what the file holds until it is opened again; the owner then writes no more.
type File struct {
	// Bolt is the open database, for transactions that outlive a call (backups, checks).
	// Their users call it within Guard.
	Bolt *bbolt.DB

	// Commit commits a transaction. Tests put failures here.
	Commit func(*bbolt.Tx) error

	path   string
	os     *os.File // as bbolt opened it
	o      FileOptions
	page   int64       // bytes of a page
	failed atomic.Bool // a method has returned ErrFailed: the file is not written again
	stuck  atomic.Bool // bbolt has kept its locks in a panic

	// As of the last commit, in bytes.
	size atomic.Int64 // length of the file
	high atomic.Int64 // end of the pages that were ever used
	free atomic.Int64 // pages below it that are not in use
	// Pages below it that the last commits have freed. The next commit uses them again,
	// unless a backup reads what was in them.
	pending atomic.Int64
}

// OpenFile opens a file, which is made unless o is read-only. ErrLocked: another process
// has it open. ErrCorrupt: it is no bbolt file, or damaged.
func OpenFile(path string, o FileOptions) (_ *File, err error) {
	f := &File{Commit: (*bbolt.Tx).Commit, path: path, o: o}
	defer func() {
		if err != nil && f.os != nil { // bbolt may have panicked half-way
			_ = Unlock(f.os)
			_ = f.os.Close()
		}
	}()
	bo := f.boltOptions()
	open := func() (err error) {
		f.Bolt, err = bbolt.Open(path, 0o600, bo)
		return err
	}
	if err = Guard(open); errors.Is(err, syscall.ENOMEM) {
		bo.InitialMmapSize = 0 // there is no such address space here
		err = Guard(open)
	}
	if err != nil {
		return nil, openError(path, err)
	}
	f.page = int64(f.Bolt.Info().PageSize)
	f.measure(false)
	f.Bolt.AllocSize = f.step()
	return f, nil
}

func (f *File) boltOptions() *bbolt.Options {
	open := f.o.OpenFile
	if open == nil {
		open = os.OpenFile
	}
	return &bbolt.Options{
		Timeout:         max(f.o.LockTimeout, time.Millisecond), // at zero bbolt waits for ever
		ReadOnly:        f.o.ReadOnly,
		NoFreelistSync:  f.o.ListAtClose,
		PreLoadFreelist: !f.o.ListAtClose,
		FreelistType:    bbolt.FreelistMapType,
		PageSize:        f.o.PageSize,
		NoSync:          f.o.NoSync,
		MaxSize:         int(min(f.o.MaxBytes, math.MaxInt)),
		InitialMmapSize: MapSize(f.o.MaxBytes),
		OpenFile: func(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
			f.os, err = open(path, flag, mode)
			return f.os, err
		},
	}
}

// openError names an error of bbolt.Open.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%w: %s", ErrLocked, path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	return fmt.Errorf("storage: open %s: %w", path, err)
}

// Path returns the path that the file was opened by.
func (f *File) Path() string { return f.path }

// View runs fn in a read transaction; records.ErrClosed if the file is closed. fn calls
// nothing of the user's, so that all panics are the file's.
func (f *File) View(fn func(*bbolt.Tx) error) (err error) {
	defer recovered(&err) // as Guard does, which is slower by a call
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return closedError(f.Bolt.View(fn))
}

// closedError turns the error of a transaction that did not begin, because the file is
// closed, into records.ErrClosed. bbolt returns that error unwrapped, so that errors of
// other kinds are not searched for it.
func closedError(err error) error {
	if err == berrors.ErrDatabaseNotOpen { //nolint:errorlint // see above
		return records.ErrClosed
	}
	return err
}

// Update runs fn in a write transaction and commits it. An error of fn undoes the
// transaction and is returned as it is, unless Rollback fails too: then both are returned,
// joined. Other errors are those of Begin and Finish.
func (f *File) Update(fn func(*bbolt.Tx) error) error {
	tx, err := f.Begin()
	if err != nil {
		return err
	}
	if err := Guard(func() error { return fn(tx) }); err != nil {
		if undone := f.Rollback(tx); undone != nil {
			return errors.Join(err, undone)
		}
		return err
	}
	return f.Finish(tx)
}

// Begin opens a write transaction; it waits for the one that is open. An error is
// records.ErrClosed if the file is closed, otherwise ErrFailed.
func (f *File) Begin() (tx *bbolt.Tx, err error) {
	if err := Guard(func() (err error) { tx, err = f.Bolt.Begin(true); return err }); err != nil {
		if err = closedError(err); errors.Is(err, records.ErrClosed) {
			return nil, err
		}
		f.noteStuck(err)
		return nil, f.fail("begin", err)
	}
	return tx, nil
}

// Rollback undoes a transaction whose changes are in memory only. An error is ErrFailed.
func (f *File) Rollback(tx *bbolt.Tx) error {
	if err := Guard(tx.Rollback); err != nil {
		f.noteStuck(err)
		return f.fail("rollback", err)
	}
	return nil
}

// fail notes that nothing is known of what the file holds, and returns ErrFailed.
func (f *File) fail(op string, err error) error {
	f.failed.Store(true)
	return fmt.Errorf("%w: %s: %w", ErrFailed, op, err)
}

// noteStuck notes a panic in which bbolt has kept its locks.
func (f *File) noteStuck(err error) {
	if errors.Is(err, ErrCorrupt) {
		f.stuck.Store(true)
	}
}

// Finish commits. Without room it returns ErrFull, and the file is as it was before.
// Every other error is ErrFailed.
func (f *File) Finish(tx *bbolt.Tx) error {
	err := Guard(func() error { return f.Commit(tx) })
	if errors.Is(err, ErrCorrupt) {
		err = errors.Join(err, f.Rollback(tx)) // a panic keeps the lock of the writer
	}
	f.measure(err != nil)
	f.Bolt.AllocSize = f.step()
	noRoom := err != nil && NoRoom(err)
	f.limitBackups(noRoom)
	switch {
	case err == nil:
		return nil
	case noRoom:
		return Full(err)
	}
	return f.fail("commit", err)
}

// Close lets go of the file. With last, unless the file has failed, it first commits last's
// changes together with the list of free pages, so that the next open is quick. A bbolt
// that panicked with its locks held would wait for itself; then only the lock on the file
// is freed and the descriptor closed. A nil File is closed.
func (f *File) Close(last func(*bbolt.Tx) error) error {
	if f == nil {
		return nil
	}
	var err error
	if last != nil && !f.failed.Load() {
		f.Bolt.NoFreelistSync = false
		err = f.Update(last)
	}
	if f.stuck.Load() {
		return errors.Join(err, Unlock(f.os), f.os.Close())
	}
	return errors.Join(err, Guard(f.Bolt.Close))
}
