package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// ErrDiskFull is returned, together with records.ErrFull, when a file could not grow because
// the file system is full, or because of a quota or a limit on the file size.
var ErrDiskFull = errors.New("no space left on the disk")

// Full wraps the error of a commit for which CannotGrow is true.
func Full(err error) error {
	if errors.Is(err, berrors.ErrMaxSizeReached) {
		return fmt.Errorf("%w: %w", records.ErrFull, err)
	}
	return fmt.Errorf("%w: %w: %w", records.ErrFull, ErrDiskFull, err)
}

// Space is the capacity of a file system in bytes. Both fields are zero if the system does
// not report it.
type Space struct {
	Free  int64 // available to this user
	Total int64
}

// Known reports whether the system reports its capacity.
func (s Space) Known() bool { return s.Total > 0 }

// Capacity is the space that a file has for new records, in bytes.
type Capacity struct {
	Used  int64 // pages in use
	Free  int64 // pages that are reused before the file grows
	Limit int64 // of Used: above it, new records are refused
}

// Full reports whether new records are refused.
func (c Capacity) Full() bool { return c.Used > c.Limit }

// Fill returns Used as a fraction of what the limit and the disk allow. At 1 the file is
// full.
func (c Capacity) Fill(s Space) float64 {
	most := c.Limit
	if s.Known() {
		most = min(most, c.Used+c.Free+s.Free)
	}
	return float64(c.Used) / float64(max(most, 1))
}

// spaceName is the file that TryWrite creates. If a crash leaves it behind, the next call
// replaces it.
const spaceName = ".space"

// TryWrite writes size bytes to a file in dir, syncs it and removes it. It is the only way to
// learn whether a quota or a file system would refuse a write. Only the process that holds
// the lock of the store may call it.
func TryWrite(dir string, size int) error {
	f, err := os.OpenFile(filepath.Join(dir, spaceName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, size))
	if err = errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name())); err != nil {
		return err
	}
	return nil
}
