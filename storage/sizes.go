package storage

import (
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Sizes are the sizes of the files together, in bytes.
type Sizes struct {
	File int64 // length of the files
	Used int64 // in pages that hold something
	Free int64 // in pages that will be used again before a file grows
	// Most is how long the files may become: MaxBytes, or what the disk has room for if
	// that is less.
	Most int64
	// Fill is how much of its room for new records the fullest file has taken, of what
	// MaxBytes and the disk leave it; at 1 they are refused.
	Fill float64
	Disk DiskSpace // of the file system that the files are on
}

// DiskSpace is what a file system has, in bytes; all zero where the system does not
// say.
type DiskSpace = disk.Space

// Sizes returns the sizes of the files as of the last commits, without a scan.
func (db *DB) Sizes() (Sizes, error) {
	if err := db.view("sizes", func(*bbolt.Tx) error { return nil }); err != nil {
		return Sizes{}, err // closed
	}
	space, err := db.DiskSpace()
	if err != nil {
		return Sizes{}, err
	}
	p := db.providers.Sizes()
	s := Sizes{
		File: db.file.Size() + p.Log + p.Runs,
		Used: db.file.Used() + p.Used,
		Free: db.file.Unused() + p.Free,
		Most: db.opts.MaxBytes,
		Fill: db.file.Room().Fill(space),
		Disk: space,
	}
	for _, room := range p.Rooms {
		s.Fill = max(s.Fill, room.Fill(space))
	}
	if space.Known() {
		s.Most = min(s.Most, s.File+space.Free)
	}
	return s, nil
}

// MaxBytes returns how long the files may be together: Options.MaxBytes, or what the
// addresses of this machine allow.
func (db *DB) MaxBytes() int64 { return db.opts.MaxBytes }

// ValueQuotas returns the bounds on the values of others, the defaults filled in.
func (db *DB) ValueQuotas() records.ValueQuotas { return db.opts.ValueQuotas }

// DiskSpace returns what the file system of the store's directory has.
func (db *DB) DiskSpace() (DiskSpace, error) { return disk.SpaceOf(db.dir) }

// TryWrite writes size bytes beside the files and removes them again: whether the disk
// takes them.
func (db *DB) TryWrite(size int) error { return disk.TryWrite(db.dir, size) }
