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
//
// A write passes through it in these steps (provider records go to runs.Store instead):
//
//  1. A method checks its arguments and queues the write. At the limit of the queue it returns
//     records.ErrBusy; the node's own writes have no limit.
//  2. The committer takes up to maxBatch queued writes and applies them in one transaction. A
//     write that is refused (see disk.IsOutcome) has changed nothing. If a write cannot be
//     applied, the batch is retried without it.
//  3. The file commits, with an fsync.
//  4. The committer publishes the new counters and sends the results to the callers.
//
// Its invariants:
//
//   - Nothing is acknowledged before it is durable.
//   - Counters, accounts and indexes change in the same transaction as the contents.
//   - Between Open and Close, only the committer writes the file. Check holds the write
//     transaction while it runs.
//   - Reads are bbolt read transactions and wait for no write.
//   - After ErrFailed all writes are refused, and reads keep working.
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
	if db.providers != nil {
		errs = append(errs, db.providers.Close())
	}
	if err := db.file.Close(last); err != nil {
		errs = append(errs, fmt.Errorf("close: %w", db.noteFailure(err)))
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
