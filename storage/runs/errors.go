package runs

import (
	"errors"
	"fmt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// The errors of this package. Those of package storage are the same values.
var (
	// ErrLocked is returned by Open when another process has the files open.
	ErrLocked = disk.ErrLocked
	// ErrSchema is returned by Open when a file was written by another version.
	ErrSchema = disk.ErrSchema
	// ErrForeign is returned by Open when a file belongs to another program, or
	// the two files do not belong together.
	ErrForeign = disk.ErrForeign
	// ErrCorrupt is returned when a read met damage.
	ErrCorrupt = disk.ErrCorrupt
	// ErrFailed is returned by every write after an fsync failed: what the files
	// then hold is in doubt until they are opened again. Reads go on.
	ErrFailed = disk.ErrFailed
	// ErrFull is returned when the disk is full or the files have reached
	// Options.MaxBytes. Writes succeed again once there is room.
	ErrFull = records.ErrFull
	// ErrReadOnly is returned by writes to a Store opened with Options.ReadOnly.
	ErrReadOnly = disk.ErrReadOnly
)

// errGone is returned, as a *goneError, by a read of a run that was merged or dropped
// after the view was taken. The reader takes a new view.
var errGone = errors.New("run is gone")

// goneError names the run that is gone.
type goneError struct{ run uint32 }

func (e *goneError) Error() string { return fmt.Sprintf("%v: run %d", errGone, e.run) }

func (e *goneError) Unwrap() error { return errGone }

// lost turns a *goneError into ErrCorrupt: the run should be in the file.
func lost(err error) error {
	if gone := (*goneError)(nil); errors.As(err, &gone) {
		return fmt.Errorf("%w: run %d is missing", ErrCorrupt, gone.run)
	}
	return err
}
