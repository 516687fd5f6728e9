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
	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

var (
	_ records.Store     = (*DB)(nil)
	_ records.Keystore  = (*DB)(nil)
	_ records.Snapshots = (*DB)(nil)
)

// ownLimit is the queue's bound for the node's own writes: none, for each has a
// goroutine that waits for it.
const ownLimit = math.MaxInt

// DB is an open store. Safe for concurrent use.
type DB struct {
	opts   Options
	dir    string
	suffix string // of all files: empty, or stagedSuffix
	path   string // of the file of everything but provider records
	log    *slog.Logger

	lock  *dirLock
	bolt  *bbolt.DB
	file  *os.File // as bbolt opened it; see closeBolt
	stuck atomic.Bool

	providers *runs.Store // its files have committers of their own
	queue     *queue
	done      chan struct{}         // closed when the committer has ended; nil: there is none
	commitTx  func(*bbolt.Tx) error // bbolt's; tests put failures here

	counters atomic.Pointer[counters] // as of the last commit
	pins     disk.Pins                // backups
	failed   atomic.Pointer[error]    // why writing was given up
	refused  atomic.Int64
	damaged  sync.Once // guards the mark that asks for a whole check

	expiredValues atomic.Int64
	overQuota     [records.NumQuotas]atomic.Int64 // of refused
	accountsStale bool                            // an older version has written since; see makeAccounts

	clean                bool // the last user closed the file properly
	quarantine           *Quarantine
	quarantinedProviders *Quarantine

	closing sync.Once
	closed  error
}

// Path returns the path of the file that holds everything but provider records.
func (db *DB) Path() string { return db.path }

// CleanStart reports whether the files were new or properly closed before Open.
func (db *DB) CleanStart() bool { return db.clean && db.providers.CleanStart() }

// Err returns why the store takes no more writes (ErrFailed), or nil.
func (db *DB) Err() error { return disk.FirstErr(db.failure(), db.providers.Err()) }

// Close makes durable what was queued, marks the files as properly closed and lets
// go of them. It waits for running reads and may be called more than once.
func (db *DB) Close() error {
	db.closing.Do(func() { db.closed = db.close() })
	return db.closed
}

func (db *DB) close() error {
	var errs []error
	if db.done != nil {
		db.queue.close()
		<-db.done
		errs = append(errs, db.markClean())
	}
	if db.providers != nil {
		errs = append(errs, db.providers.Close())
	}
	errs = append(errs, db.closeBolt())
	db.lock.release()
	return errors.Join(errs...)
}

// markClean writes the mark that CleanStart reads, unless it stands already.
func (db *DB) markClean() error {
	if db.counters.Load().Clean || db.failure() != nil {
		return nil
	}
	b, err := db.begin()
	if err != nil {
		return err
	}
	b.counters.Clean = true
	if err := b.counters.store(b.tx); err != nil {
		db.rollback(b.tx)
		return fmt.Errorf("storage: close: %w", err)
	}
	return db.finishCommit(b)
}

// closeBolt closes the file. A bbolt that panicked with its locks held would wait
// for itself; then only the lock is freed and the descriptor closed.
func (db *DB) closeBolt() error {
	if db.bolt == nil {
		return nil
	}
	if db.stuck.Load() {
		return errors.Join(disk.Unlock(db.file), db.file.Close())
	}
	if err := db.bolt.Close(); err != nil {
		return fmt.Errorf("storage: close: %w", err)
	}
	return nil
}

// view runs fn in a read transaction. What bbolt makes of a damaged page, a panic
// or a fault in the mapping, becomes ErrCorrupt: a disk must not stop the process.
// fn calls nothing of the user's, so that all panics are the file's.
func (db *DB) view(op string, fn func(*bbolt.Tx) error) error {
	err := disk.Guard(func() error { return db.bolt.View(fn) })
	switch {
	case err == nil || isOutcome(err):
		return err
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return fmt.Errorf("storage: %s: %w", op, records.ErrClosed)
	}
	return fmt.Errorf("storage: %s: %w", op, db.report(op, err))
}

// report tells the observer of an error of the store's own. At the first sign of
// damage it leaves a mark, so that the next Open checks the whole file.
func (db *DB) report(op string, err error) error {
	db.opts.Observer.StorageError(op, err)
	if errors.Is(err, ErrCorrupt) {
		db.damaged.Do(func() { db.suspect(db.path, op, err) })
	}
	return err
}

// suspect leaves a mark by which the next Open checks the whole file.
func (db *DB) suspect(path, op string, err error) {
	db.log.Error("storage: damage found; the next start will check the file", "file", path, "op", op, "error", err)
	if !db.opts.ReadOnly {
		_ = os.WriteFile(path+suspectSuffix, []byte(err.Error()+"\n"), 0o600)
	}
}
