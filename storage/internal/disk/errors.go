package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// The errors that both stores return.
var (
	// ErrLocked is returned when another process has the file open.
	ErrLocked = errors.New("in use by another process")
	// ErrSchema is returned when another version wrote the file.
	ErrSchema = errors.New("written by another version")
	// ErrForeign is returned when a file belongs to another program, network or store.
	ErrForeign = errors.New("not a file of this node")
	// ErrCorrupt is returned when a read finds damage.
	ErrCorrupt = errors.New("file is damaged")
	// ErrFailed is returned by every write after a failed fsync: the content of the file is
	// unknown until it is opened again. Reads keep working.
	ErrFailed = errors.New("writes stopped after a failed commit")
	// ErrReadOnly is returned by writes to a store that was opened read-only.
	ErrReadOnly = errors.New("opened read-only")
)

// outcomes are the errors with which a write refuses a record. A write that returns one has
// changed nothing; every other error rolls the transaction back.
var outcomes = []error{
	records.ErrNotFound, records.ErrOlder, records.ErrExpired, records.ErrTooLarge,
	records.ErrQuota, records.ErrInvalid, records.ErrFull,
}

// IsOutcome reports whether err is an error with which a write refuses a record.
func IsOutcome(err error) bool {
	if err == nil {
		return false
	}
	for _, o := range outcomes {
		if errors.Is(err, o) {
			return true
		}
	}
	return false
}

// Failure is the reason why a store no longer writes. The zero Failure means that it still
// does. Safe for concurrent use.
type Failure struct{ cause atomic.Pointer[error] }

// Err returns the reason why writes are refused, or nil.
func (f *Failure) Err() error {
	if p := f.cause.Load(); p != nil {
		return *p
	}
	return nil
}

// Set ends all writes: the content of a file is unknown until it is opened again. An fsync is
// never retried, because the kernel reports a failure once and then marks the lost pages
// clean. Set returns the cause given to the first call, which is an ErrFailed, and reports
// whether this call was the first.
func (f *Failure) Set(cause error) (err error, first bool) {
	if !errors.Is(cause, ErrFailed) {
		cause = fmt.Errorf("%w: %w", ErrFailed, cause)
	}
	first = f.cause.CompareAndSwap(nil, &cause)
	return f.Err(), first
}

// Note returns the error of a file as the store passes it on. If it is ErrFailed, Note ends all
// writes, calls report with the first failure only, and returns the first failure.
func (f *Failure) Note(err error, report func(err error)) error {
	if !errors.Is(err, ErrFailed) {
		return err
	}
	cause, first := f.Set(err)
	if first {
		report(cause)
	}
	return cause
}

// CannotGrow reports whether a commit failed because the file could not grow. In that case bbolt
// has not overwritten anything that the previous state refers to, and it has rolled back, so
// the handle stays usable.
//
// A short or refused pwrite is an *fs.PathError. A failed fdatasync is a bare errno, and
// after it the content of the file is unknown. A failed truncate is recognised by its text,
// because bbolt does not wrap it.
func CannotGrow(err error) bool {
	if errors.Is(err, berrors.ErrMaxSizeReached) {
		return true
	}
	if strings.HasPrefix(err.Error(), "file resize error") {
		return true
	}
	var pe *fs.PathError
	if !errors.As(err, &pe) || pe.Op != "write" {
		return false
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// panicError turns the value that recover returned into an error. bbolt panics on pages that
// it cannot parse, and a fault in the mapping of a truncated file arrives as a panic too (see
// Guard).
func panicError(r any) error { return fmt.Errorf("%w: %v", ErrCorrupt, r) }

// Guard runs fn and turns panics and memory faults into ErrCorrupt.
func Guard(fn func() error) (err error) {
	defer recovered(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return fn()
}

// recovered turns a panic into ErrCorrupt. Callers defer it.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = panicError(r)
	}
}

// FirstErr returns the first of errs that is not nil.
func FirstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// SyncDir makes files that were created, renamed or removed in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
