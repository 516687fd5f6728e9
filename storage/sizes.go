package storage

import (
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

// Sizes are the sizes of the files together, in bytes.
type Sizes struct {
	File int64 // length of the files
	Used int64 // in pages that hold something
	Free int64 // in pages that will be used again before a file grows
	// Fill is how much of its room for new records the fullest file has taken; at 1
	// they are refused.
	Fill float64
}

// Sizes returns the sizes of the files as of the last commits, without a scan.
func (db *DB) Sizes() (Sizes, error) {
	info, err := os.Stat(db.path)
	if err != nil {
		return Sizes{}, fmt.Errorf("storage: sizes: %w", err)
	}
	s := Sizes{File: info.Size()}
	err = db.view("sizes", func(tx *bbolt.Tx) error {
		s.Used = db.used(tx)
		s.Free = tx.Size() - s.Used
		return nil
	})
	p := db.providers.Sizes()
	s.Fill = max(float64(s.Used)/float64(db.opts.newRecordsLimit()), p.Fill)
	s.File, s.Used, s.Free = s.File+p.Log+p.Runs, s.Used+p.Used, s.Free+p.Free
	return s, err
}

// used returns the bytes of the pages in use.
func (db *DB) used(tx *bbolt.Tx) int64 {
	st := db.bolt.Stats()
	return tx.Size() - int64(st.FreePageN+st.PendingPageN)*int64(db.bolt.Info().PageSize)
}
