package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

var (
	_ records.Store     = (*DB)(nil)
	_ records.Keystore  = (*DB)(nil)
	_ records.Snapshots = (*DB)(nil)
)

// ownLimit is the queue limit for the node's own writes: there is none, because a goroutine
// waits for each of them.
const ownLimit = math.MaxInt

// DB is an open store. Safe for concurrent use.
type DB struct {
	opts   Options
	dir    string
	suffix string // suffix of all files: empty, or stagedSuffix
	path   string // the file of everything except provider records
	log    *slog.Logger

	lock *dirLock
	file *disk.File // nil: not open

	providers *runs.Store // has its own committers
	queue     *queue
	done      chan struct{} // closed when the committer has ended; nil: there is no committer

	counters atomic.Pointer[counters] // as of the last commit
	pins     disk.Pins                // running backups
	failure  disk.Failure             // of the file; the provider store has its own
	refused  atomic.Int64
	damaged  sync.Once // guards the mark that requests a full check

	expiredValues atomic.Int64
	overQuota     [records.NumQuotas]atomic.Int64 // part of refused
	accountsStale bool                            // an older version wrote the file last; see makeAccounts

	clean                bool // the file was closed properly before Open
	quarantine           *Quarantine
	quarantinedProviders *Quarantine

	closing sync.Once
	closed  error
}

// Path returns the path of the file that holds everything except provider records.
func (db *DB) Path() string { return db.path }

// CleanStart reports whether the files were new or had been closed properly before Open.
func (db *DB) CleanStart() bool { return db.clean && db.providers.CleanStart() }

// Err returns the reason why the store refuses writes (ErrFailed), or nil.
func (db *DB) Err() error { return disk.FirstErr(db.failure.Err(), db.providers.Err()) }

// Close makes all queued writes durable, marks the files as closed properly and closes them.
// It waits for running reads and may be called more than once.
func (db *DB) Close() error {
	db.closing.Do(func() { db.closed = db.close() })
	return db.closed
}

func (db *DB) close() error {
	var errs []error
	var last func(*bbolt.Tx) error
	if db.done != nil {
		db.queue.close()
		<-db.done
		if !db.counters.Load().Clean {
			last = db.markClean
		}
	}
	if err := db.file.Close(last); err != nil {
		errs = append(errs, fmt.Errorf("close: %w", db.noteFailure(err)))
	}
	if db.providers != nil {
		errs = append(errs, db.providers.Close())
	}
	db.lock.release()
	return errors.Join(errs...)
}

// markClean sets the mark that CleanStart reads.
func (db *DB) markClean(tx *bbolt.Tx) error {
	c := *db.counters.Load()
	c.Clean = true
	return c.store(tx)
}

// view runs fn in a read transaction (see disk.File) and reports damage.
func (db *DB) view(op string, fn func(*bbolt.Tx) error) error {
	err := db.file.View(fn)
	switch {
	case err == nil || isOutcome(err):
		return err
	case errors.Is(err, records.ErrClosed):
		return fmt.Errorf("%s: %w", op, err)
	}
	return fmt.Errorf("%s: %w", op, db.report(op, err))
}

// report passes an internal error of the store to the observer. At the first sign of damage
// it marks the file, so that the next Open checks all of it.
func (db *DB) report(op string, err error) error {
	db.opts.Observer.StorageError(op, err)
	if errors.Is(err, ErrCorrupt) {
		db.damaged.Do(func() { db.suspect(db.path, op, err) })
	}
	return err
}

// suspect marks a file, so that the next Open checks all of it.
func (db *DB) suspect(path, op string, err error) {
	db.log.Error("storage: damage found; the next start will check the file", "file", path, "op", op, "err", err)
	if !db.opts.ReadOnly {
		_ = os.WriteFile(path+suspectSuffix, []byte(err.Error()+"\n"), 0o600)
	}
}
