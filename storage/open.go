package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// FileName is the name of the store's file in its directory.
const FileName = "holdfast.db"

// suspectSuffix marks a file in which a read found damage.
const suspectSuffix = ".suspect"

// fileGrowth is the step by which bbolt grows the file. Each step costs an fsync.
const fileGrowth = 4 << 20

// Open opens the store in dir, which it creates if needed, and locks the directory for this
// process. It moves damaged files aside and replaces them (see Quarantine).
func Open(dir string, o Options) (*DB, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.WithDefaults()
	if !o.ReadOnly {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("open: %w", err)
		}
	}
	lock, err := lockDir(dir, o.ReadOnly, o.LockTimeout)
	if err != nil {
		return nil, err
	}
	db := newDB(dir, "", o)
	db.lock = lock
	if err := db.start(); err != nil {
		_ = db.file.Close(nil)
		lock.release()
		return nil, err
	}
	return db, nil
}

// newDB returns a DB that is not open. suffix is the suffix of its file names.
func newDB(dir, suffix string, o Options) *DB {
	return &DB{
		opts: o, dir: dir, suffix: suffix, path: filepath.Join(dir, FileName+suffix), log: o.Logger,
		lock: &dirLock{}, queue: newQueue(),
	}
}

// start opens the files, replaces damaged ones, and starts the committer.
func (db *DB) start() error {
	if err := db.resume(); err != nil {
		return err
	}
	err := db.open()
	if errors.Is(err, errOldSchema) && db.mayReplace() {
		if err = db.migrate(); err == nil {
			err = db.open()
		}
	}
	if errors.Is(err, ErrCorrupt) && db.mayReplace() {
		err = db.replace(err)
	}
	if err != nil {
		return err
	}
	db.clean = db.counters.Load().Clean
	if err := db.openProviders(); err != nil {
		return err
	}
	db.reportQuarantine()
	if db.opts.ReadOnly {
		return nil
	}
	if err := db.noteNames(); err != nil {
		_ = db.providers.Close()
		return err
	}
	db.done = make(chan struct{})
	go db.committer()
	return nil
}

// mayReplace reports whether damaged files and files of an older schema may be replaced. Staged
// files may not.
func (db *DB) mayReplace() bool { return !db.opts.ReadOnly && db.suffix == "" }

// open opens the file and reads its metadata.
func (db *DB) open() error {
	if db.opts.force != nil {
		return db.opts.force
	}
	if err := disk.FirstErr(db.emptied(), verifyFile(db.path, db.verifyBudget(), true, db.opts.Progress)); err != nil {
		return err
	}
	if err := db.openFile(); err != nil {
		return err
	}
	suspected := db.suspected(db.path)
	err := db.initialize()
	if err == nil {
		err = db.makeAccounts(suspected)
	}
	if err == nil && suspected {
		err = db.recheck()
	}
	return err
}

// emptied returns ErrCorrupt for an empty file next to provider records: bbolt would treat it
// as new, and the loss would go unnoticed.
func (db *DB) emptied() error {
	own, err := os.Stat(db.path)
	if err != nil || own.Size() > 0 || db.suffix != "" {
		return nil
	}
	if log, err := os.Stat(db.providerPath(runs.LogName)); err != nil || log.Size() == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s is empty", ErrCorrupt, db.path)
}

// resume completes the file replacement that a crash interrupted.
func (db *DB) resume() error {
	if db.suffix != "" {
		return nil // offline has done it
	}
	if !db.opts.ReadOnly {
		return disk.FirstErr(finishAdoption(db.dir), discardStaged(db.dir))
	}
	if _, err := os.Stat(filepath.Join(db.dir, adoptName)); err == nil {
		return fmt.Errorf("%w: the replacement of files in %s was interrupted; the next start completes it", ErrCorrupt, db.dir)
	}
	return nil
}

// suspected reports whether a read has found damage in a file.
func (db *DB) suspected(path string) bool {
	_, err := os.Stat(path + suspectSuffix)
	return err == nil || db.opts.suspectAll
}

func (db *DB) verifyBudget() int {
	if db.suspected(db.path) {
		return pages.All
	}
	return db.opts.verifyPages
}

// openFile opens the file of everything except provider records. bbolt writes the list of
// free pages of this file with every commit. Commits would be a little smaller without it,
// but after an unclean shutdown the start would have to read every page.
func (db *DB) openFile() (err error) {
	db.file, err = disk.OpenFile(db.path, disk.FileOptions{
		MaxBytes:    stateBytes(db.opts.MaxBytes),
		MinGrowth:   fileGrowth,
		MaxGrowth:   fileGrowth,
		LockTimeout: db.opts.LockTimeout,
		ReadOnly:    db.opts.ReadOnly,
		NoSync:      db.opts.NoSync,
		OpenFile:    db.opts.OpenFile,
		Pins:        &db.pins,
	})
	return lockedFile(db.path, err)
}

// initialize reads the metadata of the file, or writes it into a new file.
func (db *DB) initialize() error {
	var fresh bool
	err := db.file.View(func(tx *bbolt.Tx) error {
		k, _ := tx.Cursor().First()
		if fresh = k == nil; fresh {
			return nil
		}
		return db.readMeta(tx)
	})
	if err != nil || !fresh {
		return err
	}
	if db.opts.ReadOnly {
		return fmt.Errorf("%w: %s is empty", ErrForeign, db.path)
	}
	return db.create()
}

// create writes the buckets and the metadata of a new file.
func (db *DB) create() error {
	c := counters{Clean: true}
	err := db.file.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		return disk.FirstErr(
			meta.Put(keySchema, disk.U32(schemaVersion)),
			meta.Put(keyNetwork, []byte(db.opts.Network)),
			meta.Put(keyCreated, binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))),
			c.store(tx),
		)
	})
	if err != nil {
		return fmt.Errorf("create %s: %w", db.path, err)
	}
	db.counters.Store(&c)
	return disk.SyncDir(filepath.Dir(db.path))
}

// readMeta checks that the file belongs to this node and loads its counters.
func (db *DB) readMeta(tx *bbolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	if meta == nil || meta.Get(keySchema) == nil {
		return db.stranger(tx)
	}
	schema := meta.Get(keySchema)
	if len(schema) != 4 {
		return fmt.Errorf("%w: schema of %d bytes", ErrCorrupt, len(schema))
	}
	switch v := binary.BigEndian.Uint32(schema); {
	case v == oldSchema:
		return fmt.Errorf("%w: %s", errOldSchema, db.path)
	case v > schemaVersion:
		return db.newer(meta, fmt.Errorf("%w: %s has schema %d, this program knows %d", ErrSchema, db.path, v, schemaVersion))
	case v != schemaVersion:
		return fmt.Errorf("%w: %s has schema %d, this program knows %d", ErrSchema, db.path, v, schemaVersion)
	}
	if err := db.ofNetwork(string(meta.Get(keyNetwork))); err != nil {
		return err
	}
	for _, name := range buckets {
		if _, err := disk.BucketOf(tx, name); err != nil {
			return err
		}
	}
	c, err := loadCounters(tx)
	if err == nil {
		db.counters.Store(&c)
	}
	return err
}

// ofNetwork returns ErrNetwork if a file of the given network does not belong to this node. An
// empty name is that of any network.
func (db *DB) ofNetwork(n string) error {
	if n != "" && db.opts.Network != "" && n != db.opts.Network {
		return fmt.Errorf("%w: %s belongs to network %q, not %q", ErrNetwork, db.path, n, db.opts.Network)
	}
	return nil
}

// stranger returns the error for a file without metadata: ErrCorrupt if it has any of our
// buckets, because then it is ours and has lost its metadata, and ErrForeign if it belongs to
// another program.
func (db *DB) stranger(tx *bbolt.Tx) error {
	for _, name := range buckets {
		if tx.Bucket(name) != nil {
			return fmt.Errorf("%w: no schema in %s", ErrCorrupt, db.path)
		}
	}
	return fmt.Errorf("%w: %s was written by another program", ErrForeign, db.path)
}
