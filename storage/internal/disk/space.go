package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// ErrDiskFull is returned, together with records.ErrFull, when a file could not grow
// because the file system, a quota on it or the longest file it takes was reached.
var ErrDiskFull = errors.New("storage: no space left on the disk")

// Full names the error of a commit of which NoRoom is true.
func Full(err error) error {
	if errors.Is(err, berrors.ErrMaxSizeReached) {
		return fmt.Errorf("%w: %w", records.ErrFull, err)
	}
	return fmt.Errorf("%w: %w: %w", records.ErrFull, ErrDiskFull, err)
}

// Space is what a file system has, in bytes. Both are zero where the system does not
// say.
type Space struct {
	Free  int64 // for this user
	Total int64
}

// Known reports whether the system says how much space there is.
func (s Space) Known() bool { return s.Total > 0 }

// Room is what a file has for new records, in bytes.
type Room struct {
	Used  int64 // in pages that hold something
	Free  int64 // in pages that will be used again before the file grows
	Limit int64 // of Used, at which new records are refused
}

// Full reports whether new records are refused.
func (r Room) Full() bool { return r.Used > r.Limit }

// Fill returns how much of its room is taken, of what the limit and the disk leave it;
// at 1 there is none.
func (r Room) Fill(s Space) float64 {
	most := r.Limit
	if s.Known() {
		most = min(most, r.Used+r.Free+s.Free)
	}
	return float64(r.Used) / float64(max(most, 1))
}

// spaceName is the file of TryWrite. What a crash leaves of it the next call replaces.
const spaceName = ".space"

// TryWrite writes size bytes to a file in dir, makes them durable and removes the
// file: the one way to learn whether a quota or a file system would refuse them.
// Only the process that holds the lock of the store may call it.
func TryWrite(dir string, size int) error {
	f, err := os.OpenFile(filepath.Join(dir, spaceName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	_, err = f.Write(make([]byte, size))
	if err = errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name())); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}
