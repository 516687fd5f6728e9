package storage

import (
	"errors"
	"fmt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// The errors of this package. Those that the provider store returns as well are
// the same values.
var (
	// ErrLocked is returned when another process uses the directory. The error is
	// a *LockedError, which names the process if it is known.
	ErrLocked = disk.ErrLocked
	// ErrSchema is returned when a file was written by another version.
	ErrSchema = disk.ErrSchema
	// ErrForeign is returned when a file belongs to another program or network.
	ErrForeign = disk.ErrForeign
	// ErrNetwork is returned when a file belongs to another network. It is an
	// ErrForeign.
	ErrNetwork = fmt.Errorf("%w, but of another network", ErrForeign)
	// ErrCorrupt is returned when a read met damage, and by Open in ReadOnly mode.
	ErrCorrupt = disk.ErrCorrupt
	// ErrFailed is returned by every write to a file after an fsync of it failed:
	// what it then holds is in doubt until it is opened again. Reads go on.
	ErrFailed = disk.ErrFailed
	// ErrFull is returned when the disk is full or the files have reached MaxBytes.
	// Writes succeed again once there is room.
	ErrFull = records.ErrFull
	// ErrDiskFull is returned with ErrFull when it was the disk that was full.
	ErrDiskFull = disk.ErrDiskFull
	// ErrBackupSlow is returned by Backup when its writer was too slow: while it waited,
	// records kept changing, and the database needed the pages that the backup held.
	ErrBackupSlow = errors.New("storage: the backup was given up: it was read too slowly while the database was written to; save it to a faster place, or when there is less traffic")
	// ErrReadOnly is returned by writes to a DB opened with Options.ReadOnly.
	ErrReadOnly = disk.ErrReadOnly
)

// isOutcome reports whether an error is one by which a write says no, see
// disk.IsOutcome.
func isOutcome(err error) bool { return disk.IsOutcome(err) || errors.Is(err, ErrConflict) }

// refused reports whether a write was turned away for want of room.
func refused(err error) bool {
	return errors.Is(err, records.ErrBusy) || errors.Is(err, records.ErrQuota) || errors.Is(err, ErrFull)
}
