package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// salvageSuffix names the new file while it is being filled from the damaged one.
// It takes the place of the old file only when complete.
const salvageSuffix = ".salvage"

// Quarantine says what became of a damaged file.
type Quarantine struct {
	Path   string // where the damaged file is now
	Reason error  // what was wrong; wraps ErrCorrupt
	// What was taken over into the new file.
	Records   [records.NumKinds]int64
	Published [records.NumKinds]int64
	Snapshots int
	// Incomplete tells that the damage has cost pages, or that what could be read
	// was not all taken over (no room, or too much of it).
	Incomplete bool
}

// Quarantined returns what Open did about a damaged file, or nil.
func (db *DB) Quarantined() *Quarantine { return db.quarantine }

// replace puts a new file in the place of the damaged one: it fills the new one
// with what can be read, moves the old one aside and the new one to its name.
// A crash on the way leaves either the damaged file or the finished new one.
func (db *DB) replace(cause error) error {
	_ = db.closeBolt()
	db.bolt = nil
	q := &Quarantine{Reason: cause, Path: freeName(fmt.Sprintf("%s.corrupt-%d", db.path, time.Now().Unix()))}
	if err := db.buildReplacement(q); err != nil {
		return err
	}
	if err := os.Rename(db.path, q.Path); err != nil {
		return fmt.Errorf("storage: quarantine: %w", err)
	}
	if err := db.adoptReplacement(); err != nil {
		return err
	}
	_ = os.Remove(db.path + suspectSuffix)
	if err := db.openBolt(); err != nil {
		return err
	}
	if err := guard(db.initialize); err != nil {
		return err
	}
	db.quarantine = q
	db.log.Error("storage: damaged file moved aside", "file", q.Path, "reason", q.Reason,
		"records", q.Records, "published", q.Published, "snapshots", q.Snapshots, "incomplete", q.Incomplete)
	if db.opts.OnQuarantine != nil {
		db.opts.OnQuarantine(*q)
	}
	return nil
}

// adoptReplacement gives the finished new file its name.
func (db *DB) adoptReplacement() error {
	if err := os.Rename(db.path+salvageSuffix, db.path); err != nil {
		return fmt.Errorf("storage: quarantine: %w", err)
	}
	return syncDir(filepath.Dir(db.path))
}

// resume ends a replacement that a crash cut short after the old file was moved.
// While the old file is in place, the new one is unfinished and is built again.
func (db *DB) resume() error {
	if _, err := os.Stat(db.path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(db.path + salvageSuffix); err != nil || db.opts.ReadOnly {
		return nil
	}
	return db.adoptReplacement()
}

// buildReplacement fills a new file from the damaged one.
func (db *DB) buildReplacement(q *Quarantine) error {
	path := db.path + salvageSuffix
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("storage: quarantine: %w", err)
	}
	dst := &DB{opts: db.opts, path: path, log: db.log, providers: db.providers, commitTx: (*bbolt.Tx).Commit}
	if err := dst.openBolt(); err != nil {
		return err
	}
	if err := guard(dst.initialize); err != nil {
		_ = dst.closeBolt()
		return err
	}
	src, err := os.Open(db.path)
	if err != nil {
		_ = dst.closeBolt()
		return fmt.Errorf("storage: quarantine: %w", err)
	}
	defer src.Close()
	s := salvager{dst: dst, q: q}
	s.src, err = openPageFile(src)
	if s.src != nil {
		s.run(err != nil)
	}
	return dst.closeBolt()
}

// freeName returns name, or name with a number if it is taken.
func freeName(name string) string {
	for free, i := name, 1; ; i++ {
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			return free
		}
		free = fmt.Sprintf("%s-%d", name, i)
	}
}
