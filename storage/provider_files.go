package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/storage/internal/pages"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// providerFiles are the two files of the provider store. They are moved aside, replaced and
// restored together.
var providerFiles = []string{runs.LogName, runs.RunsName}

// providerPath returns the path of one of the provider files.
func (db *DB) providerPath(name string) string { return filepath.Join(db.dir, name+db.suffix) }

// openProviders opens the provider store, and replaces it if it is damaged.
func (db *DB) openProviders() error {
	err := db.tryProviders()
	if !errors.Is(err, ErrCorrupt) || !db.mayReplace() {
		return err
	}
	if err := db.replaceProviders(err); err != nil {
		return err
	}
	return db.tryProviders()
}

func (db *DB) tryProviders() (err error) {
	if db.opts.force != nil && db.quarantinedProviders == nil {
		return db.opts.force
	}
	o := db.providerOptions()
	o.Observer = &providerObserver{db: db}
	s, err := runs.OpenFiles(db.providerPath(runs.LogName), db.providerPath(runs.RunsName), o)
	if errors.Is(err, ErrSchema) {
		return db.newerProviders(err)
	}
	if err != nil {
		return lockedFile(db.providerPath(runs.LogName), err)
	}
	if db.quarantinedProviders == nil && db.suspected(db.providerPath(runs.LogName)) {
		if err := db.recheckProviders(s); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	db.providers = s
	return nil
}

// providerOptions returns the options of the provider store.
func (db *DB) providerOptions() runs.Options {
	o := db.opts.Options
	o.MaxBytes -= stateBytes(o.MaxBytes)
	o.Observer = nil
	o.Verify = db.verifyProviders
	return o
}

// verifyProviders checks a file before bbolt opens it (see runs.Options).
func (db *DB) verifyProviders(path string, whole bool) error {
	if whole {
		return db.verifyAll(path)
	}
	budget := db.opts.verifyPages
	if db.suspected(db.providerPath(runs.LogName)) {
		budget = pages.All
	}
	return verifyFile(path, budget, true, db.opts.Progress)
}

// recheckProviders checks everything after an earlier read found damage.
func (db *DB) recheckProviders(s *runs.Store) error {
	var r Report
	if _, err := s.Check(r.problem); err != nil {
		return err
	}
	return db.settle(&r, db.providerPath(runs.LogName))
}

// providerObserver forwards the events of the provider store. At the first sign of damage it
// marks the files, so that the next Open checks both of them.
type providerObserver struct {
	db      *DB
	damaged sync.Once
}

// Committed implements runs.Observer.
func (o *providerObserver) Committed(writes int, took time.Duration) {
	o.db.opts.Observer.Committed(writes, took)
}

// StorageError implements runs.Observer.
func (o *providerObserver) StorageError(op string, err error) {
	o.db.opts.Observer.StorageError(op, err)
	if errors.Is(err, ErrCorrupt) {
		o.damaged.Do(func() { o.db.suspect(o.db.providerPath(runs.LogName), op, err) })
	}
}

// salvageProviders bounds the provider records copied from damaged files: providers republish
// them within a day, and while a node salvages, it is down.
const salvageProviders = 2_000_000

// replaceProviders replaces the damaged provider store, as replace does for the other file.
func (db *DB) replaceProviders(cause error) error {
	q := &Quarantine{Reason: cause}
	if err := db.buildProviders(q); err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	moved, err := adopt(db.dir, providerFiles, q.suffix())
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	q.Files = moved
	db.dropCopies(moved)
	db.quarantinedProviders = q
	return nil
}

// stageProviders creates new files to fill.
func (db *DB) stageProviders() (*runs.Store, error) {
	o := db.providerOptions()
	o.Verify = nil
	return runs.OpenFiles(staged(db.dir, runs.LogName), staged(db.dir, runs.RunsName), o)
}

// buildProviders fills new files from the damaged ones.
func (db *DB) buildProviders(q *Quarantine) error {
	if err := discardStaged(db.dir); err != nil {
		return err
	}
	dst, err := db.stageProviders()
	if err != nil {
		return err
	}
	src := readDamaged(db.dir, providerFiles, db.opts.Progress)
	defer src.close()
	whole, err := dst.Salvage(src, salvageProviders)
	src.skipRest()
	q.Records[0] = dst.Stats().Records
	q.Incomplete = !whole || src.incomplete()
	if err != nil && !errors.Is(err, ErrFull) {
		return errors.Join(err, dst.Close())
	}
	q.Incomplete = q.Incomplete || err != nil
	return dst.Close()
}

// damagedFiles is the runs.Source of everything readable in damaged files.
type damagedFiles map[string]*damagedFile

type damagedFile struct {
	f     *os.File
	pages *pages.Reader // nil: nothing is readable
	top   map[string]*pages.Element
	whole bool // top contains all buckets
	lost  bool // something is missing that is not visible in the pages
}

var _ runs.Source = damagedFiles(nil)

func readDamaged(dir string, names []string, progress func(Progress)) damagedFiles {
	files := make(damagedFiles)
	for _, name := range names {
		d := &damagedFile{}
		files[name] = d
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			d.lost = true
			continue
		}
		d.f = f
		if d.pages, err = pages.NewReader(f, name, progress); d.pages == nil {
			d.lost = true
			continue
		}
		d.top, d.whole = d.pages.Buckets()
		d.lost = err != nil || d.top[string(bucketMeta)] == nil // if it is missing, the file was created in place of a lost one
	}
	return files
}

// Buckets implements runs.Source.
func (d damagedFiles) Buckets(file string, fn func(name []byte)) (whole bool) {
	for name := range d[file].top {
		fn([]byte(name))
	}
	return d[file].whole
}

// Rows implements runs.Source.
func (d damagedFiles) Rows(file string, bucket []byte, fn func(key, value []byte)) (whole bool) {
	f := d[file]
	return f.pages.Rows(f.top[string(bucket)], func(e *pages.Element) { fn(e.Key, e.Value) })
}

// Scan implements runs.Source.
func (d damagedFiles) Scan(file string, fn func(key, value []byte)) {
	if f := d[file]; f.pages != nil {
		f.pages.Search("provider records", func(e *pages.Element) { fn(e.Key, e.Value) })
	}
}

// skipRest ends the progress steps of the files: the remaining pages are not part of any
// tree.
func (d damagedFiles) skipRest() {
	for _, name := range providerFiles {
		if f := d[name]; f.pages != nil {
			f.pages.Skip()
		}
	}
}

func (d damagedFiles) incomplete() bool {
	for _, f := range d {
		if f.lost || f.pages.Incomplete() {
			return true
		}
	}
	return false
}

func (d damagedFiles) close() {
	for _, f := range d {
		if f.f != nil {
			_ = f.f.Close()
		}
	}
}
