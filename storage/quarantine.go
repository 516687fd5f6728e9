package storage

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
)

// Quarantine describes how Open handled damaged files.
type Quarantine struct {
	Path   string   // where the damaged file is now; if there are several, the first
	Files  []string // where all files that were moved aside are now
	Reason error    // the damage found; wraps ErrCorrupt
	// The contents of the store after the repair, except Snapshots: those that were copied.
	Records   [records.NumKinds]int64
	Published [records.NumKinds]int64
	Snapshots int
	// Incomplete reports that pages are lost, or that not everything readable was copied
	// because of a limit or lack of space.
	Incomplete bool
}

// Quarantined returns how Open handled damaged files, or nil if there were none.
func (db *DB) Quarantined() *Quarantine { return db.quarantine }

// reportQuarantine combines everything that was moved aside into one Quarantine and reports
// it.
func (db *DB) reportQuarantine() {
	q, p := db.quarantine, db.quarantinedProviders
	switch {
	case q == nil && p == nil:
		return
	case q == nil:
		q = p
		c := db.counters.Load()
		q.Records[records.KindValue], q.Published = c.Values, c.Published
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

// suffix returns the suffix of the files that are moved aside now.
func (q *Quarantine) suffix() string {
	s := fmt.Sprintf("%s-%d", suffixCorrupt, time.Now().Unix())
	if !q.Incomplete {
		s += markRecovered
	}
	return s
}

// replace replaces the damaged file: it copies everything readable into a new file, moves the
// old one aside and renames the new one into place. A crash leaves either the damaged file or
// the complete new one.
func (db *DB) replace(cause error) error {
	_ = db.file.Close(nil)
	db.file = nil
	q := &Quarantine{Reason: cause, Incomplete: true} // until the file was read
	if err := db.buildReplacement(q); err != nil {
		return err
	}
	old, err := adopt(db.dir, []string{FileName}, q.suffix())
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
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

// buildReplacement fills a new file from the damaged one. It refuses a file of another network.
func (db *DB) buildReplacement(q *Quarantine) error {
	if err := discardStaged(db.dir); err != nil {
		return err
	}
	src, err := os.Open(db.path)
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	defer src.Close()
	r, damage := pages.NewReader(src, FileName, db.opts.Progress)
	s := salvager{pages: r, q: q, dst: &DB{opts: db.opts, path: staged(db.dir, FileName), log: db.log}}
	if r != nil {
		s.top, _ = r.Buckets()
	}
	from := readOrigin(r, s.top)
	if err := db.ofNetwork(from.Network); err != nil {
		return err
	}
	s.dst.opts.Network = cmp.Or(from.Network, db.opts.Network)
	if err := s.dst.openFile(); err != nil {
		return err
	}
	if err := s.dst.initialize(); err != nil {
		_ = s.dst.file.Close(nil)
		return err
	}
	if r != nil {
		s.run(from, damage != nil)
	}
	return s.dst.file.Close(nil)
}
