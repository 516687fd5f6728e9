package runs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// PageSize is the page size of the files on every machine, so that blocks fill pages.
const PageSize = 4096

// The steps by which the files grow (see disk.FileOptions). A small store grows in steps of
// at most a 64th of the maximum size of the file.
const (
	minGrowth  = 256 << 10
	logGrowth  = 4 << 20
	runsGrowth = 16 << 20
)

// openFile opens a file of at most most bytes, after a check of its structure.
func (s *Store) openFile(path string, most, growth int64) (*disk.File, error) {
	if err := s.opts.Verify(path, false); err != nil {
		return nil, err
	}
	return disk.OpenFile(path, disk.FileOptions{
		MaxBytes:    most,
		MinGrowth:   minGrowth,
		MaxGrowth:   min(max(most/64, minGrowth), growth),
		PageSize:    PageSize,
		ListAtClose: true,
		LockTimeout: s.opts.LockTimeout,
		ReadOnly:    s.opts.ReadOnly,
		NoSync:      s.opts.NoSync,
		OpenFile:    s.opts.OpenFile,
		Pins:        &s.pins,
	})
}

// readThrough reads a file sequentially. This loads it into the page cache twenty times
// faster than bbolt's walk.
func readThrough(path string, _ bool) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	buf := make([]byte, 4<<20)
	for {
		if _, err := f.Read(buf); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
}

// fits returns ErrFull if a transaction that needs this many bytes should not be attempted,
// because a failed one makes bbolt walk the whole file. A 32nd of the file is reserved for
// transactions that free space: if they could not commit, a full file would stay full.
func fits(f *disk.File, bytes int64) error {
	if left := f.Left() - f.MaxBytes()/32; bytes > left {
		return fmt.Errorf("%w: %s has %d bytes left beside its reserve, %d needed", ErrFull, f.Path(), max(left, 0), bytes)
	}
	return nil
}
