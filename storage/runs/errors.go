package runs

import (
	"errors"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

var (
	// ErrLocked is returned by Open when another process has the files open.
	ErrLocked = errors.New("storage: in use by another process")
	// ErrSchema is returned by Open when a file was written by another version.
	ErrSchema = errors.New("storage: written by another version")
	// ErrForeign is returned by Open when a file belongs to another program, or
	// the two files do not belong together.
	ErrForeign = errors.New("storage: not a file of this node")
	// ErrCorrupt is returned when a read met damage.
	ErrCorrupt = disk.ErrCorrupt
	// ErrFailed is returned by every write after an fsync failed: what the files
	// then hold is in doubt until they are opened again. Reads go on.
	ErrFailed = errors.New("storage: writes given up after a failed commit")
	// ErrFull is returned when the disk is full or the files have reached
	// Options.MaxBytes. Writes succeed again once there is room.
	ErrFull = records.ErrFull
	// ErrReadOnly is returned by writes to a Store opened with Options.ReadOnly.
	ErrReadOnly = errors.New("storage: opened read-only")
)

// errGone is returned by a read of a run that was merged or dropped after the
// view was taken. The reader takes a new view.
var errGone = errors.New("storage: run is gone")

// outcomes are the errors by which one write says no. Whoever returns one has
// changed nothing; every other error undoes the transaction.
var outcomes = []error{
	records.ErrNotFound, records.ErrExpired, records.ErrTooLarge, records.ErrQuota,
	records.ErrInvalid, ErrFull,
}

func isOutcome(err error) bool {
	for _, o := range outcomes {
		if errors.Is(err, o) {
			return true
		}
	}
	return false
}
