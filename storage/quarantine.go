package storage

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
)

// Quarantine says what became of damaged files.
type Quarantine struct {
	Path   string   // where the damaged file is now; of several, the first
	Files  []string // where all files are that were moved aside
	Reason error    // what was wrong; wraps ErrCorrupt
	// What was taken over into the new files.
	Records   [records.NumKinds]int64
	Published [records.NumKinds]int64
	Snapshots int
	// Incomplete tells that the damage has cost pages, or that what could be read
	// was not all taken over (no room, or too much of it).
	Incomplete bool
}

// Quarantined returns what Open did about damaged files, or nil.
func (db *DB) Quarantined() *Quarantine { return db.quarantine }

// tellQuarantine tells of everything that was moved aside as one.
func (db *DB) tellQuarantine() {
	q, p := db.quarantine, db.quarantinedProviders
	switch {
	case q == nil && p == nil:
		return
	case q == nil:
		q = p
	case p != nil:
		q.Files = append(q.Files, p.Files...)
		q.Reason = errors.Join(q.Reason, p.Reason)
		q.Incomplete = q.Incomplete || p.Incomplete
	}
	q.Records[records.KindProvider] = db.providers.Stats().Records
	if len(q.Files) > 0 {
		q.Path = q.Files[0]
	}
	db.quarantine = q
	db.log.Error("storage: damaged files moved aside", "files", q.Files, "reason", q.Reason,
		"records", q.Records, "published", q.Published, "snapshots", q.Snapshots, "incomplete", q.Incomplete)
	if db.opts.OnQuarantine != nil {
		db.opts.OnQuarantine(*q)
	}
}

// replace puts a new file in the place of the damaged one: it fills the new one
// with what can be read, moves the old one aside and the new one to its name.
// A crash on the way leaves either the damaged file or the finished new one.
func (db *DB) replace(cause error) error {
	_ = db.file.Close(nil)
	db.file = nil
	q := &Quarantine{Reason: cause}
	if err := db.buildReplacement(q); err != nil {
		return err
	}
	old, err := adopt(db.dir, []string{FileName}, fmt.Sprintf("%s-%d", suffixCorrupt, time.Now().Unix()))
	if err != nil {
		return fmt.Errorf("storage: quarantine: %w", err)
	}
	q.Files = old
	db.dropCopies(old)
	if err := db.openFile(); err != nil {
		return err
	}
	if err := db.initialize(); err != nil {
		return err
	}
	db.quarantine = q
	return nil
}

// buildReplacement fills a new file from the damaged one.
func (db *DB) buildReplacement(q *Quarantine) error {
	if err := discardStaged(db.dir); err != nil {
		return err
	}
	dst := &DB{opts: db.opts, path: staged(db.dir, FileName), log: db.log}
	if err := dst.openFile(); err != nil {
		return err
	}
	if err := dst.initialize(); err != nil {
		_ = dst.file.Close(nil)
		return err
	}
	src, err := os.Open(db.path)
	if err != nil {
		_ = dst.file.Close(nil)
		return fmt.Errorf("storage: quarantine: %w", err)
	}
	defer src.Close()
	r, err := pages.NewReader(src, FileName, db.opts.Progress)
	if r != nil {
		s := salvager{pages: r, dst: dst, q: q}
		s.run(err != nil)
	}
	return dst.file.Close(nil)
}
