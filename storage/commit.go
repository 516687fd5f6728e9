package storage

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// txn is an open write transaction: the state that the writes of a batch share.
type txn struct {
	tx       *bbolt.Tx
	counters counters // as of this transaction
	full     bool     // the reserve has been reached: no new records
	accounts accounts
	damage   error // damage found by a write that did not fail because of it
	quotas   records.ValueQuotas
}

// finish writes the changes that the transaction collected until its end.
func (x *txn) finish() error {
	x.counters.Clean = false
	return disk.FirstErr(x.storeAccounts(), x.counters.store(x.tx))
}

// committer makes writes durable until the queue is closed and empty.
func (db *DB) committer() {
	defer close(db.done)
	for {
		switch batch, done := db.queue.next(); {
		case done:
			return
		case len(batch) > 0:
			db.commit(batch)
		default:
			<-db.queue.wake
		}
	}
}

// maxImpossible bounds how often a batch is retried without a write that cannot be applied.
const maxImpossible = 8

// commit makes a batch durable in one transaction and answers the waiting callers. If a write
// cannot be applied, commit retries the batch without it, so that a damaged page fails only
// the writes that need it.
func (db *DB) commit(writes []write) {
	results := make([]error, len(writes))
	for tries := 0; ; tries++ {
		bad, err := db.transact(writes, results)
		if err == nil {
			break
		}
		if bad < 0 || tries == maxImpossible {
			err = db.report("commit", err)
			for i := range results {
				results[i] = err
			}
			break
		}
		results[bad] = db.report(writes[bad].op, err)
		writes[bad].apply = nil
	}
	for i, w := range writes {
		db.answer(w, results[i])
	}
}

// answer sends the result of a write to its caller.
func (db *DB) answer(w write, err error) {
	if refused(err) {
		db.refused.Add(1)
	}
	var over *records.QuotaError
	switch {
	case errors.As(err, &over):
		db.overQuota[over.Quota].Add(1)
	case errors.Is(err, ErrFull):
		db.overQuota[records.QuotaBytes].Add(1)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", w.op, err)
	}
	w.done <- err
}

// transact applies writes in one transaction and commits it. results receives the outcome of
// each write. An error rolls everything back; bad is the index of the write that caused it,
// or negative.
func (db *DB) transact(writes []write, results []error) (bad int, err error) {
	if err := db.failure.Err(); err != nil {
		return -1, err
	}
	start := time.Now()
	x, err := db.begin()
	if err != nil {
		return -1, err
	}
	if err := disk.Guard(func() error { return x.apply(writes, results, &bad) }); err != nil {
		db.rollback(x)
		return bad, err
	}
	if err := db.finishCommit(x); err != nil {
		return -1, err
	}
	if x.damage != nil {
		_ = db.report("commit", x.damage)
	}
	db.opts.Observer.Committed(len(writes), time.Since(start))
	return -1, nil
}

// begin opens the write transaction. Only the committer calls it, and Open before there is a
// committer. Check holds the write transaction while it runs.
func (db *DB) begin() (*txn, error) {
	tx, err := db.file.Begin()
	if err != nil {
		return nil, db.noteFailure(err)
	}
	return &txn{tx: tx, counters: *db.counters.Load(), quotas: db.opts.ValueQuotas, full: db.file.Capacity().Full()}, nil
}

// apply runs the writes. An error rolls all of them back; at is the index of the write that
// caused it, or negative.
func (x *txn) apply(writes []write, results []error, at *int) error {
	for i, w := range writes {
		if w.apply == nil {
			continue
		}
		*at, results[i] = i, nil
		if err := w.apply(x); isOutcome(err) {
			results[i] = err
		} else if err != nil {
			return err
		}
	}
	*at = -1
	return x.finish()
}

// rollback undoes a transaction; its changes exist only in memory.
func (db *DB) rollback(x *txn) {
	if err := db.file.Rollback(x.tx); err != nil {
		_ = db.noteFailure(err)
	}
}

// finishCommit commits and publishes the new counters.
func (db *DB) finishCommit(x *txn) error {
	if err := db.file.Finish(x.tx); err != nil {
		return db.noteFailure(err)
	}
	db.counters.Store(&x.counters)
	return nil
}

// noteFailure is disk.Failure.Note for an error of the file.
func (db *DB) noteFailure(err error) error {
	return db.failure.Note(err, func(err error) {
		db.log.Error("storage: file failed; no more writes until the next start", "file", db.path, "err", err)
	})
}

// do passes a change to the committer and waits until it is durable.
func (db *DB) do(op string, limit int, apply func(*txn) error) error {
	if err := db.writable(); err != nil {
		return err
	}
	done := make(chan error, 1)
	if err := db.queue.put(write{op: op, apply: apply, done: done}, limit); err != nil {
		return db.refuse(op, err)
	}
	return <-done
}

func (db *DB) writable() error {
	if db.opts.ReadOnly {
		return ErrReadOnly
	}
	return db.failure.Err()
}

// refuse counts a write that the queue refused.
func (db *DB) refuse(op string, err error) error {
	if refused(err) {
		db.refused.Add(1)
	}
	return fmt.Errorf("%s: %w", op, err)
}

// Flush makes everything queued before the call durable and visible.
func (db *DB) Flush() error {
	return disk.FirstErr(
		db.do("flush", ownLimit, func(*txn) error { return nil }),
		db.providers.Flush(),
	)
}

// Stats implements records.Store.
func (db *DB) Stats() records.Stats {
	c, st := db.counters.Load(), db.providers.RecordStats()
	st.Records[records.KindValue], st.Bytes[records.KindValue] = c.Values, c.ValueBytes
	st.ExpiredRecords[records.KindValue] = db.expiredValues.Load()
	st.Published = c.Published
	st.PendingWrites += int64(db.queue.len())
	st.RefusedWrites += db.refused.Load()
	for q := range db.overQuota {
		st.Refused[q] += db.overQuota[q].Load()
	}
	return st
}

// ProviderStats returns the running counters of the provider store.
func (db *DB) ProviderStats() runs.Stats { return db.providers.Stats() }
