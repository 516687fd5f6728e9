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

// The errors of the stores, which both return.
var (
	// ErrLocked is returned when another process has a file open.
	ErrLocked = errors.New("storage: in use by another process")
	// ErrSchema is returned when a file was written by another version.
	ErrSchema = errors.New("storage: written by another version")
	// ErrForeign is returned when a file belongs to another program, network or store.
	ErrForeign = errors.New("storage: not a file of this node")
	// ErrCorrupt is returned when a read met damage.
	ErrCorrupt = errors.New("storage: file is damaged")
	// ErrFailed is returned by every write after an fsync failed: what the file then
	// holds is in doubt until it is opened again. Reads go on.
	ErrFailed = errors.New("storage: writes given up after a failed commit")
	// ErrReadOnly is returned by writes to a store that was opened read-only.
	ErrReadOnly = errors.New("storage: opened read-only")
)

// outcomes are the errors by which a write says no. Whoever returns one has changed
// nothing; every other error undoes the transaction.
var outcomes = []error{
	records.ErrNotFound, records.ErrOlder, records.ErrExpired, records.ErrTooLarge,
	records.ErrQuota, records.ErrInvalid, records.ErrFull,
}

// IsOutcome reports whether an error is one by which a write says no.
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

// Failure is why a store writes no more. The zero Failure is none. Safe for concurrent
// use.
type Failure struct{ cause atomic.Pointer[error] }

// Err returns why nothing may be written, or nil.
func (f *Failure) Err() error {
	if p := f.cause.Load(); p != nil {
		return *p
	}
	return nil
}

// Set ends all writing: what a file holds is not known until it is opened again. An fsync
// is never repeated, because the kernel reports its failure once and then calls the lost
// pages clean. Set returns the cause of the first call, which is an ErrFailed, and whether
// this call was the first.
func (f *Failure) Set(cause error) (err error, first bool) {
	if !errors.Is(cause, ErrFailed) {
		cause = fmt.Errorf("%w: %w", ErrFailed, cause)
	}
	first = f.cause.CompareAndSwap(nil, &cause)
	return f.Err(), first
}

// NoRoom reports whether a commit failed because a file could not grow. bbolt then
// has written nothing that the previous state refers to and has rolled back, so that
// the handle stays good.
//
// A short or refused pwrite arrives as *fs.PathError; fdatasync as a bare errno,
// and after that nothing is known. The failed truncate is told by its text, for
// bbolt does not wrap it.
func NoRoom(err error) bool {
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

// PanicError turns what recover returned into an error. bbolt panics on pages it
// cannot make sense of, and a fault in the mapping of a truncated file arrives the
// same way, see Guard.
func PanicError(r any) error { return fmt.Errorf("%w: %v", ErrCorrupt, r) }

// Guard runs fn and turns panics and memory faults into ErrCorrupt.
func Guard(fn func() error) (err error) {
	defer recovered(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return fn()
}

// recovered turns a panic into ErrCorrupt. It is deferred.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = PanicError(r)
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

// SyncDir makes a change of names in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("storage: sync %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("storage: sync %s: %w", dir, err)
	}
	return nil
}
