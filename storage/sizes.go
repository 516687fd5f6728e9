package storage

import (
	"fmt"
	"os"

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
	info, err := os.Stat(db.path)
	if err != nil {
		return Sizes{}, fmt.Errorf("storage: sizes: %w", err)
	}
	s := Sizes{File: info.Size()}
	if s.Disk, err = db.DiskSpace(); err != nil {
		return Sizes{}, err
	}
	err = db.view("sizes", func(tx *bbolt.Tx) error {
		s.Used = db.used(tx)
		s.Free = tx.Size() - s.Used
		return nil
	})
	own := disk.Room{Used: s.Used, Free: s.Free, Limit: db.opts.newRecordsLimit()}
	p := db.providers.Sizes()
	s.Fill = own.Fill(s.Disk)
	for _, room := range p.Rooms {
		s.Fill = max(s.Fill, room.Fill(s.Disk))
	}
	s.File, s.Used, s.Free = s.File+p.Log+p.Runs, s.Used+p.Used, s.Free+p.Free
	s.Most = db.opts.MaxBytes
	if s.Disk.Known() {
		s.Most = min(s.Most, s.File+s.Disk.Free)
	}
	return s, err
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

// used returns the bytes of the pages in use.
func (db *DB) used(tx *bbolt.Tx) int64 {
	st := db.bolt.Stats()
	free := st.FreePageN
	if !db.pins.Held() { // else a backup reads what was in them
		free += st.PendingPageN
	}
	return tx.Size() - int64(free)*int64(db.bolt.Info().PageSize)
}

// limitBackups gives up the backups if they hold more pages than they may, or if a
// commit has just failed for lack of room.
func (db *DB) limitBackups(failed bool) {
	if !db.pins.Held() {
		return
	}
	var pinned, room int64
	_ = db.bolt.View(func(tx *bbolt.Tx) error {
		pinned = int64(db.bolt.Stats().PendingPageN) * int64(db.bolt.Info().PageSize)
		room = db.opts.stateBytes() - fileGrowth - db.used(tx)
		return nil
	})
	if failed || pinned > disk.MayPin(room+pinned, db.opts.reserve()) {
		db.pins.Cut()
	}
}
