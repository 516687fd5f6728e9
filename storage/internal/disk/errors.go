package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"
)

// ErrCorrupt is returned when a read met damage.
var ErrCorrupt = errors.New("storage: file is damaged")

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
	defer func() {
		if r := recover(); r != nil {
			err = PanicError(r)
		}
	}()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return fn()
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
