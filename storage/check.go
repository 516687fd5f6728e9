package storage

import (
	"errors"
	"fmt"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// maxProblems bounds the problems that a Report lists.
const maxProblems = 100

// Report is the result of a check.
type Report struct {
	Problems  []string // at most maxProblems; empty: the file is valid
	Omitted   int      // further problems
	Files     []string // names of the files with problems, as far as they are known
	Records   [records.NumKinds]int64
	Published [records.NumKinds]int64
	Providers int64
}

// OK reports whether no problem was found.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	} else {
		r.Omitted++
	}
}

// Check checks the files in dir: bbolt's structure and this package's own invariants. No
// other process may be writing them. An error means that they could not be checked; the
// Report lists damage. progress may be nil.
func Check(dir string, progress func(Progress)) (Report, error) {
	db, err := Open(dir, Options{Options: runs.Options{ReadOnly: true, Progress: progress}, verifyPages: pages.All})
	if errors.Is(err, ErrCorrupt) {
		var r Report
		r.problem("%v", err)
		r.Files, err = unsound(dir)
		return r, err
	}
	if err != nil {
		return Report{}, err
	}
	r, err := db.Check()
	return r, errors.Join(err, db.Close())
}

// unsound returns the names of the files in dir that have pages that cannot be read.
func unsound(dir string) (names []string, err error) {
	for _, name := range dbFiles {
		err := verifyFile(filepath.Join(dir, name), pages.All, true, nil)
		switch {
		case errors.Is(err, ErrCorrupt):
			names = append(names, name)
		case err != nil:
			return names, err
		}
	}
	return names, nil
}

// Check checks the open files; writes wait meanwhile. See the function Check.
func (db *DB) Check() (Report, error) {
	r, err := db.checkState()
	if err != nil {
		return r, err
	}
	if !r.OK() {
		r.Files = append(r.Files, FileName)
	}
	before := len(r.Problems) + r.Omitted
	c, err := db.providers.Check(r.problem)
	if len(r.Problems)+r.Omitted > before {
		r.Files = append(r.Files, providerFiles...)
	}
	r.Records[records.KindProvider], r.Providers = c.Records, c.Providers
	return r, err
}

// checkState checks the file of everything except provider records.
func (db *DB) checkState() (Report, error) {
	var r Report
	err := disk.Guard(func() error {
		tx, err := db.file.Bolt.Begin(!db.opts.ReadOnly)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		// bbolt's own check runs in a goroutine where a fault cannot be recovered, so it may
		// only see files in which every page is sound.
		if err := db.verifyAll(db.path); err != nil {
			r.problem("%v", err)
			return nil
		}
		disk.CheckTx(tx, db.opts.Progress, r.problem)
		return db.checkContents(tx, &r)
	})
	if errors.Is(err, ErrCorrupt) {
		r.problem("%v", err)
		err = nil
	}
	if err != nil {
		return r, fmt.Errorf("check: %w", err)
	}
	return r, nil
}

// verifyAll checks every page of an open file, unless Open has done so and nothing can have
// changed it since.
func (db *DB) verifyAll(path string) error {
	if db.opts.ReadOnly && db.opts.verifyPages == pages.All {
		return nil
	}
	return verifyFile(path, pages.All, false, db.opts.Progress)
}

// verifyFile checks the structure of a file before bbolt opens it (see pages.Verify).
func verifyFile(path string, budget int, lock bool, progress func(Progress)) error {
	_, err := pages.Verify(path, budget, lock, progress)
	return lockedFile(path, err)
}

// recheck checks a file at open in which an earlier read found damage.
func (db *DB) recheck() error {
	r, err := db.checkState()
	if err != nil {
		return err
	}
	return db.settle(&r, db.path)
}

// settle removes the mark of a file that turned out to be valid.
func (db *DB) settle(r *Report, path string) error {
	if !r.OK() {
		return fmt.Errorf("%w: %s (and %d more)", ErrCorrupt, r.Problems[0], len(r.Problems)-1+r.Omitted)
	}
	if db.opts.ReadOnly {
		return nil
	}
	return removeMark(path)
}

// checkContents compares everything stored with the counters.
func (db *DB) checkContents(tx *bbolt.Tx, r *Report) error {
	stored, err := loadCounters(tx)
	if err != nil {
		return err
	}
	found := counters{Clean: stored.Clean}
	own := stored.Published[records.KindValue] + stored.Published[records.KindProvider]
	for _, c := range []struct {
		step  string
		total int64
		check func(*bbolt.Tx, *counters, *disk.Meter, func(string, ...any)) error
	}{
		{"checking values and their expiry index", 2 * stored.Values, checkValues},
		{"checking published keys", own, checkKeystore},
		{"checking rows of the datastore", 0, checkDatastore}, // their number is not stored
		{"adding up the accounts of values", stored.Values, db.checkAccounts},
	} {
		m := disk.NewMeter(db.opts.Progress, Progress{Step: c.step, Total: c.total})
		if err := c.check(tx, &found, m, r.problem); err != nil {
			return err
		}
		m.End()
	}
	if err := checkSnapshots(tx, r.problem); err != nil {
		return err
	}
	if stored != found {
		r.problem("counters say %+v, contents %+v", stored, found)
	}
	r.Records[records.KindValue], r.Published = found.Values, found.Published
	return nil
}

func checkValues(tx *bbolt.Tx, c *counters, m *disk.Meter, problem func(string, ...any)) error {
	vt, err := openValues(tx)
	if err != nil {
		return err
	}
	var rows, entries int
	err = vt.rows.ForEach(func(k, row []byte) error {
		rows++
		m.Add(1)
		c.Values++
		c.ValueBytes += valueBytes(k, row)
		v, err := decodeValue(k, row)
		if err != nil {
			problem("value %q: %v", k, err)
		} else if vt.expiry.Get(expiryKey(v.Expires, k)) == nil {
			problem("value %q is missing in the expiry index", k)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = vt.expiry.ForEach(func(k, _ []byte) error {
		entries++
		m.Add(1)
		if len(k) <= 8 || vt.rows.Get(k[8:]) == nil {
			problem("expiry index entry %x has no value", k)
		}
		return nil
	})
	if rows != entries {
		problem("%d values, %d entries in the expiry index", rows, entries)
	}
	return err
}

func checkKeystore(tx *bbolt.Tx, c *counters, m *disk.Meter, problem func(string, ...any)) error {
	rows, err := disk.BucketOf(tx, bucketKeystore)
	if err != nil {
		return err
	}
	return rows.ForEach(func(k, row []byte) error {
		m.Add(1)
		if len(k) != publishedKeyLen {
			problem("published key %x is malformed", k)
			return nil
		}
		p, err := decodePublished(k, row)
		if err != nil {
			problem("published key %x: %v", k, err)
			return nil
		}
		if kad.Key(k[:publishedKeyLen-1]) != kad.KeyOf(p.Key) {
			problem("published key %x is filed under another key", k)
		}
		c.Published[p.Kind]++
		return nil
	})
}

func checkSnapshots(tx *bbolt.Tx, problem func(string, ...any)) error {
	all, err := disk.BucketOf(tx, bucketSnapshot)
	if err != nil {
		return err
	}
	names := snapshotNames(all)
	if len(names) > keptSnapshots {
		problem("%d snapshots, at most %d are kept", len(names), keptSnapshots)
	}
	for _, name := range names {
		one := all.Bucket(name)
		if one == nil {
			problem("snapshot %x is not a bucket", name)
			continue
		}
		if _, err := decodeSnapshot(one.Get(keySnapshot)); err != nil {
			problem("snapshot %x: %v", name, err)
		}
	}
	return nil
}
