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
	// ErrSchema is returned by Open when another version wrote a file.
	ErrSchema = disk.ErrSchema
	// ErrForeign is returned by Open when a file belongs to another program, or
	// the two files do not belong together.
	ErrForeign = disk.ErrForeign
	// ErrCorrupt is returned when a read finds damage.
	ErrCorrupt = disk.ErrCorrupt
	// ErrFailed is returned by every write after a failed fsync: the content of the files is
	// unknown until they are opened again. Reads keep working.
	ErrFailed = disk.ErrFailed
	// ErrFull is returned when the disk is full or the files have reached Options.MaxBytes.
	// Writes succeed again as soon as there is space.
	ErrFull = records.ErrFull
	// ErrReadOnly is returned by writes to a Store opened with Options.ReadOnly.
	ErrReadOnly = disk.ErrReadOnly
)

// errGone is returned, as a *goneError, by a read of a run that was merged or dropped after
// the view was taken. The reader retries with a new view.
var errGone = errors.New("run is gone")

// goneError names the missing run.
type goneError struct{ run uint32 }

func (e *goneError) Error() string { return fmt.Sprintf("%v: run %d", errGone, e.run) }

func (e *goneError) Unwrap() error { return errGone }

// lost turns a *goneError into ErrCorrupt: the file should contain the run.
func lost(err error) error {
	if gone := (*goneError)(nil); errors.As(err, &gone) {
		return fmt.Errorf("%w: run %d is missing", ErrCorrupt, gone.run)
	}
	return err
}
