package storage

import (
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Sizes are the combined sizes of the files, in bytes.
type Sizes struct {
	File int64 // length of the files
	Used int64 // pages in use
	Free int64 // pages that are reused before a file grows
	// Most is the maximum combined length of the files: MaxBytes, or less if the disk has
	// less space.
	Most int64
	// Fill is the used fraction of the fullest file's capacity for new records, within
	// MaxBytes and the space on the disk. At 1 new records are refused.
	Fill float64
	Disk DiskSpace // the file system of the files
}

// DiskSpace is the capacity of a file system in bytes. All fields are zero if the system does
// not report it.
type DiskSpace = disk.Space

// Sizes returns the sizes of the files as of the last commits. It scans nothing.
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
		Fill: db.file.Capacity().Fill(space),
		Disk: space,
	}
	for _, c := range p.Capacities {
		s.Fill = max(s.Fill, c.Fill(space))
	}
	if space.Known() {
		s.Most = min(s.Most, s.File+space.Free)
	}
	return s, nil
}

// MaxBytes returns the maximum combined length of the files: Options.MaxBytes, or less on a
// 32-bit system.
func (db *DB) MaxBytes() int64 { return db.opts.MaxBytes }

// ValueQuotas returns the bounds on the values of others, with defaults applied.
func (db *DB) ValueQuotas() records.ValueQuotas { return db.opts.ValueQuotas }

// DiskSpace returns the capacity of the file system that contains the store's directory.
func (db *DB) DiskSpace() (DiskSpace, error) { return disk.SpaceOf(db.dir) }

// TryWrite writes size bytes beside the files and removes them again, to learn whether the
// disk accepts them.
func (db *DB) TryWrite(size int) error { return disk.TryWrite(db.dir, size) }
