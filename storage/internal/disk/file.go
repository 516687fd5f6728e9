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

	// MinGrowth and MaxGrowth bound the step by which the file grows. Each step costs an
	// fsync. A step is an eighth of the pages that were ever used, within these bounds.
	MinGrowth, MaxGrowth int64

	// PageSize is the page size of a new file. Default: the machine's page size.
	PageSize int

	// ListAtClose writes the list of free pages at a clean close only. In a large file the
	// list costs up to a megabyte per commit, and because it needs many contiguous pages, the
	// file never stops growing. Without the list, bbolt walks every page when it opens the
	// file and after a failed commit, in a goroutine whose panics cannot be recovered. Such a
	// file must therefore be verified first.
	ListAtClose bool

	// LockTimeout is how long OpenFile waits for another process to release the lock. Zero or
	// negative: it does not wait.
	LockTimeout time.Duration

	// ReadOnly opens the file without changing it. Other readers may have it open too.
	ReadOnly bool

	// NoSync skips fsync. For tests only.
	NoSync bool

	// OpenFile opens the file. Default: os.OpenFile.
	OpenFile func(name string, flag int, perm os.FileMode) (*os.File, error)

	// Pins are the backups that may be reading the file.
	Pins *Pins
}

// File is an open bbolt file. All methods return bbolt's reaction to damage, a panic or a
// fault in the mapping, as ErrCorrupt: a damaged disk must not stop the process.
//
// Any number of goroutines may read. One goroutine at a time writes, either with Update or
// with Begin, then Finish or Rollback. After an error that wraps ErrFailed, the content of
// the file is unknown until it is opened again; the owner must stop writing.
type File struct {
	// Bolt is the open database, for transactions that outlive a call (backups, checks). Such
	// code runs within Guard.
	Bolt *bbolt.DB

	// Commit commits a transaction. Tests inject failures here.
	Commit func(*bbolt.Tx) error

	path   string
	os     *os.File // as opened by bbolt
	o      FileOptions
	page   int64       // bytes of a page
	failed atomic.Bool // a method has returned ErrFailed; the file is never written again
	stuck  atomic.Bool // bbolt panicked while it held its locks

	// Sizes in bytes, as of the last commit.
	size atomic.Int64 // length of the file
	high atomic.Int64 // end of the pages that were ever used
	free atomic.Int64 // pages below high that are not in use
	// Pages below high that the last commits freed. The next commit reuses them, unless a
	// backup still reads their old content.
	pending atomic.Int64
}

// OpenFile opens a file, and creates it unless o is read-only. It returns ErrLocked if
// another process has the file open, and ErrCorrupt if it is damaged or not a bbolt file.
func OpenFile(path string, o FileOptions) (_ *File, err error) {
	f := &File{Commit: (*bbolt.Tx).Commit, path: path, o: o}
	defer func() {
		if err != nil && f.os != nil { // bbolt may have panicked halfway
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
		bo.InitialMmapSize = 0 // this machine does not have that much address space
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
		Timeout:         max(f.o.LockTimeout, time.Millisecond), // with zero, bbolt waits forever
		ReadOnly:        f.o.ReadOnly,
		NoFreelistSync:  f.o.ListAtClose,
		PreLoadFreelist: !f.o.ListAtClose,
		FreelistType:    bbolt.FreelistMapType,
		PageSize:        f.o.PageSize,
		NoSync:          f.o.NoSync,
		MaxSize:         int(min(f.o.MaxBytes, math.MaxInt)),
		InitialMmapSize: mapSize(f.o.MaxBytes),
		OpenFile: func(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
			f.os, err = open(path, flag, mode)
			return f.os, err
		},
	}
}

// openError maps an error of bbolt.Open to an error of this package.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%w: %s", ErrLocked, path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	return fmt.Errorf("open %s: %w", path, err)
}

// Path returns the path with which the file was opened.
func (f *File) Path() string { return f.path }

// View runs fn in a read transaction. It returns records.ErrClosed if the file is closed. fn
// must not call user code, so that every panic in it comes from the file.
func (f *File) View(fn func(*bbolt.Tx) error) (err error) {
	defer recovered(&err) // inlined Guard, to save a call
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return closedError(f.Bolt.View(fn))
}

// closedError turns the error of a transaction that did not begin, because the file is
// closed, into records.ErrClosed. bbolt returns that error unwrapped, so one comparison is
// enough.
func closedError(err error) error {
	if err == berrors.ErrDatabaseNotOpen { //nolint:errorlint // see above
		return records.ErrClosed
	}
	return err
}

// Update runs fn in a write transaction and commits it. If fn fails, Update rolls the
// transaction back and returns that error unchanged, or joined with the error of Rollback if
// that fails too. Other errors are those of Begin and Finish.
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

// Begin opens a write transaction, after the current one has ended. The error is
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

// Rollback undoes a transaction; its changes exist only in memory. Every error is ErrFailed.
func (f *File) Rollback(tx *bbolt.Tx) error {
	if err := Guard(tx.Rollback); err != nil {
		f.noteStuck(err)
		return f.fail("rollback", err)
	}
	return nil
}

// fail records that the content of the file is unknown, and returns ErrFailed.
func (f *File) fail(op string, err error) error {
	f.failed.Store(true)
	return fmt.Errorf("%w: %s: %w", ErrFailed, op, err)
}

// noteStuck records a panic in which bbolt kept its locks.
func (f *File) noteStuck(err error) {
	if errors.Is(err, ErrCorrupt) {
		f.stuck.Store(true)
	}
}

// Finish commits. If the file cannot grow, it returns records.ErrFull and the file is unchanged.
// Every other error is ErrFailed.
func (f *File) Finish(tx *bbolt.Tx) error {
	err := Guard(func() error { return f.Commit(tx) })
	if errors.Is(err, ErrCorrupt) {
		err = errors.Join(err, f.Rollback(tx)) // after a panic, bbolt still holds the writer lock
	}
	f.measure(err != nil)
	f.Bolt.AllocSize = f.step()
	cannotGrow := err != nil && CannotGrow(err)
	f.limitBackups(cannotGrow)
	switch {
	case err == nil:
		return nil
	case cannotGrow:
		return Full(err)
	}
	return f.fail("commit", err)
}

// Close closes the file. If last is set and the file has not failed, Close first commits the
// changes of last together with the list of free pages, so that the next open is quick. If
// bbolt panicked while it held its locks, its own Close would deadlock; Close then only
// releases the file lock and closes the descriptor. Close of a nil File does nothing.
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
