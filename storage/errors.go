package storage

import (
	"errors"
	"fmt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// The errors of this package. Those that the provider store returns too are the same values.
var (
	// ErrLocked is returned when another process uses the directory. The error is a
	// *LockedError, which names the process if it is known.
	ErrLocked = disk.ErrLocked
	// ErrSchema is returned when another version wrote the file. If that version is newer, the
	// error is a *SchemaError.
	ErrSchema = disk.ErrSchema
	// ErrForeign is returned when a file belongs to another program or network.
	ErrForeign = disk.ErrForeign
	// ErrNetwork is returned when a file belongs to another network. It wraps ErrForeign.
	ErrNetwork = fmt.Errorf("%w, but of another network", ErrForeign)
	// ErrCorrupt is returned when a read finds damage, and by Open in ReadOnly mode.
	ErrCorrupt = disk.ErrCorrupt
	// ErrFailed is returned by every write to a file after a failed fsync: the content of the
	// file is unknown until it is opened again. Reads keep working.
	ErrFailed = disk.ErrFailed
	// ErrFull is returned when the disk is full or the files have reached MaxBytes. Writes
	// succeed again as soon as there is space.
	ErrFull = records.ErrFull
	// ErrDiskFull is returned with ErrFull if the disk is full.
	ErrDiskFull = disk.ErrDiskFull
	// ErrBackupSlow is returned by Backup when its writer was too slow: records kept changing
	// meanwhile, and the database needed the pages that the backup held.
	ErrBackupSlow = errors.New("backup cancelled: it was read too slowly while the database was being written; save it to faster storage, or when there is less traffic")
	// ErrReadOnly is returned by writes to a DB opened with Options.ReadOnly.
	ErrReadOnly = disk.ErrReadOnly
)

// isOutcome reports whether err is an error with which a write refuses a record (see
// disk.IsOutcome).
func isOutcome(err error) bool { return disk.IsOutcome(err) || errors.Is(err, ErrConflict) }

// refused reports whether a write was refused for lack of capacity.
func refused(err error) bool {
	return errors.Is(err, records.ErrBusy) || errors.Is(err, records.ErrQuota) || errors.Is(err, ErrFull)
}
