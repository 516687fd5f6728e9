package runs

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// ledger is the state of the committer: the content of the log as of the last commit, and
// caches that make the next commit quick.
type ledger struct {
	state     state
	active    *table
	since     time.Time // when the active table received its first record
	providers *providerCache
	drops     uint64               // epochs dropped since open
	hot       map[recordKey]uint32 // keys that refuse new providers until this time
	latest    uint32               // time of the latest record added, reset when the clock is set back
	chores    []chore              // oldest first
	gather    gather

	// Reused by each commit.
	work       []work
	logEntries []byte   // to be appended to the log
	staged     []*entry // entries of the active table that this commit changes
	errs       []error
}

// maxHot bounds the keys in hot.
const maxHot = 4096

// work is what is known about an op before it is applied.
type work struct {
	provider *provider // nil: not in the log
	hash     uint64    // of the key
	old      uint32    // latest expiry of the record in any run
	copies   int64     // upper bound on the records of the key in runs
}

// txn is an open write transaction of the log.
type txn struct {
	store *Store
	led   *ledger // the store's
	tx    *bbolt.Tx
	view  *view
	state state // the state after the commit
	last  bool  // the remaining writes belong to the next transaction

	// Why new records, all records, or even removals are refused. Nil: they are accepted.
	noNew, noAdds, noRemovals error

	touched      []*provider    // changed by this transaction
	stored       []*provider    // whose tally this transaction stores
	lowered      []*provider    // whose last epoch is now earlier
	forgotten    []*provider    // removed by this transaction
	providerRows []*providerRow // to be published
	ended        int            // chores that this transaction completes
	begun        int            // providers of the next chore that have been processed
	after        []func()       // called once the transaction is durable
	rotate       bool           // replace the active table afterwards

	removalsBefore int // length of the active table's removals before, for undo
}

// committer makes writes durable until the queue is closed and empty. It is the only
// goroutine that writes the log, the tables and the ledger. For each batch:
//
//  1. The queue returns the batch when a caller waits for it, when it has grown large
//     (queue.eager), or when the commit window has passed. Later writes go into the next
//     batch.
//  2. ensureTable rotates if the batch does not fit into the active table. If there are already
//     maxTables tables, it first waits for the builder to write one out.
//  3. try begins a transaction, and prepare looks up each record in the runs.
//  4. apply applies the writes in order. Each is refused, or staged in the active table and
//     added to the entries for the log.
//  5. finish writes the entries, the tallies that are due and the state. Then the file
//     commits, with an fsync.
//  6. show publishes the staged entries and the new state.
//  7. commit sends the results to the waiting callers.
//
// Its invariants:
//
//   - Nothing is visible or acknowledged before it is durable.
//   - If step 4 or 5 fails, undo restores the ledger and the tables to the last commit.
//   - A write that cannot be applied fails alone. The other writes of its batch are retried
//     one by one.
//   - A transaction is open only while the committer works. It does not wait for the builder,
//     a caller or the queue meanwhile.
//   - After ErrFailed, no transaction is begun.
func (s *Store) committer() {
	defer close(s.committed)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		b, wait, done := s.queue.next(s.opts.CommitWindow)
		switch {
		case done:
			return
		case b != nil:
			s.commit(b)
			s.linger(len(b.ops))
			s.queue.recycle(b)
			continue
		}
		timer.Reset(s.idle(wait))
		select {
		case <-s.queue.wake:
		case <-timer.C:
			s.housekeep()
		}
	}
}

// lingerMost bounds how long the committer waits for the callers that it has just answered.
const lingerMost = 100 * time.Microsecond

// linger gives the callers of the n writes that were just answered time to write again before
// the next commit begins. Otherwise the callers split into two groups, and each group waits
// for the other's commit.
func (s *Store) linger(n int) {
	if n < 2 {
		return
	}
	began := time.Now()
	for have := s.queue.len(); have > 0; {
		runtime.Gosched()
		now := s.queue.len()
		if now == have || time.Since(began) > lingerMost {
			return
		}
		have = now
	}
}

// idle returns how long to wait. wait is the time that the queue asks for (negative: until
// woken).
func (s *Store) idle(wait time.Duration) time.Duration {
	most := time.Hour
	if !s.led.active.empty() {
		most = max(s.opts.RotateEvery-time.Since(s.led.since), time.Millisecond)
	}
	if s.choreDue() {
		most = min(most, max(s.opts.CommitWindow, time.Millisecond))
	}
	if wait >= 0 {
		most = min(most, wait)
	}
	return most
}

// housekeep does maintenance that is due while there are no writes.
func (s *Store) housekeep() {
	if s.queue.len() > 0 || s.failure.Err() != nil {
		return
	}
	if !s.led.active.empty() && time.Since(s.led.since) >= s.opts.RotateEvery && len(s.view.Load().tables) < maxTables {
		s.rotate(0)
	}
	if s.choreDue() {
		_, err := s.transact(nil, nil)
		s.report("housekeep", err)
	}
}

// commit makes a batch durable in one transaction and answers the waiting callers. If one of
// the writes cannot be applied, each write is retried alone, so that a damaged page fails
// only the writes that need it.
func (s *Store) commit(b *batch) {
	s.led.errs = append(s.led.errs[:0], make([]error, len(b.ops))...)
	results := s.led.errs
	done, err := s.transact(b.ops, results)
	var impossible *applyError
	if errors.As(err, &impossible) && len(b.ops)-done > 1 {
		for i := done; i < len(b.ops); i++ {
			if _, err := s.transact(b.ops[i:i+1], results[i:i+1]); err != nil {
				results[i] = err
				s.report("commit", err)
			}
		}
	} else if err != nil {
		s.report("commit", err)
		for i := done; i < len(results); i++ {
			results[i] = err
		}
	}
	clear(s.led.staged) // do not keep their tables in memory
	bad := 0
	for i, err := range results {
		if err != nil {
			bad++
			s.refused.note(&b.ops[i], err)
		}
	}
	if b.ticket != nil {
		if bad > 0 {
			b.ticket.errs = append([]error(nil), results...)
		}
		close(b.ticket.done)
	}
}

// applyError is an error of one write, in contrast to an error of the commit.
type applyError struct{ error }

func (e *applyError) Unwrap() error { return e.error }

// transact applies and commits writes, in one transaction unless a write must be the last of
// its transaction. results receives the outcome of each write. A returned error applies to
// all except the first done writes.
func (s *Store) transact(ops []op, results []error) (done int, err error) {
	for {
		if err := s.failure.Err(); err != nil {
			return done, err
		}
		full := s.ensureTable(ops[done:])
		if full != nil && !errors.Is(full, ErrFull) {
			return done, full
		}
		n, err := s.try(ops[done:], results[done:], full)
		done += n
		switch {
		case errors.Is(err, errGone): // retry with the next view, which does not contain the run
		case err != nil || done == len(ops):
			return done, err
		}
	}
}

// try runs one transaction with the first n writes. full is the error if all tables are full;
// then only calls are executed.
func (s *Store) try(ops []op, results []error, full error) (n int, err error) {
	start := time.Now()
	tx, err := s.log.Begin()
	if err != nil {
		return 0, s.noteFailure(err)
	}
	x := &txn{store: s, led: &s.led, tx: tx, state: s.led.state.clone(), removalsBefore: len(s.led.active.removals)}
	x.noRemovals = full
	x.noAdds = disk.FirstErr(full, fits(s.log, 0))
	if s.log.Capacity().Full() || s.runs.Capacity().Full() {
		x.noNew = ErrFull
	}
	x.state.commitNo++
	x.state.gen = s.led.active.gen
	x.state.clean = false
	s.led.logEntries, s.led.staged = s.led.logEntries[:0], s.led.staged[:0]
	apply := func() (err error) { n, err = x.apply(ops, results); return err }
	if err := disk.Guard(apply); err != nil {
		x.undo()
		if err := s.log.Rollback(tx); err != nil {
			return 0, s.noteFailure(err)
		}
		return 0, &applyError{err}
	}
	if err := s.log.Finish(tx); err != nil {
		x.undo()
		return 0, s.noteFailure(err)
	}
	x.show()
	s.opts.Observer.Committed(n, time.Since(start))
	return n, nil
}

// apply applies writes until one of them must be the last of the transaction, and then stores
// the changes.
func (x *txn) apply(ops []op, results []error) (n int, err error) {
	if err := x.prepare(ops); err != nil {
		return 0, err
	}
	for ; n < len(ops) && !x.last; n++ {
		results[n] = nil
		if err := x.one(&ops[n], &x.led.work[n]); disk.IsOutcome(err) {
			results[n] = err
		} else if err != nil {
			return n, err
		}
	}
	return n, x.finish()
}

func (x *txn) one(o *op, w *work) error {
	switch {
	case o.call != nil:
		return o.call(x)
	case o.remove:
		return x.remove(o, w)
	}
	return x.add(o, w)
}

// finish writes the log, the tallies that are due and the state.
func (x *txn) finish() error {
	if err := x.appendLog(x.led.logEntries); err != nil {
		return err
	}
	if err := x.doChores(); err != nil {
		return err
	}
	for _, p := range x.touched {
		// Store the tallies of new providers at once, so that those that announce a single
		// record and never come again do not stay in memory until the table is full.
		if p.fresh && !p.gone {
			if err := x.storeTally(p); err != nil {
				return err
			}
		}
	}
	for _, p := range x.lowered {
		if !p.gone {
			if err := x.storeTally(p); err != nil {
				return err
			}
		}
	}
	for _, p := range x.led.providers.surplus() {
		if p.dirty {
			if err := x.storeTally(p); err != nil {
				return err
			}
		}
	}
	return x.state.store(x.tx)
}

// storeTally writes how many records name a provider.
func (x *txn) storeTally(p *provider) error {
	counts, err := disk.BucketOf(x.tx, bucketCounts)
	if err != nil {
		return err
	}
	x.stored = append(x.stored, p)
	return counts.Put(disk.U32(p.number), p.encodeCounts(x.state.commitNo))
}

// undo reverts the changes of apply in memory.
func (x *txn) undo() {
	clear(x.led.hot)
	for _, e := range x.led.staged {
		e.undo()
	}
	x.led.active.removals = x.led.active.removals[:x.removalsBefore]
	for _, p := range x.forgotten {
		p.gone = false
		x.led.providers.insert(p)
	}
	for _, p := range x.touched {
		if p.fresh {
			x.led.providers.forget(p)
			continue
		}
		p.restore()
	}
}

// show publishes what is now durable to readers.
func (x *txn) show() {
	for _, p := range x.touched {
		p.before, p.fresh, p.dirty = nil, false, true
	}
	for _, p := range x.stored {
		p.commitNo, p.dirty = x.state.commitNo, false
	}
	for _, f := range x.providerRows {
		x.store.providerRows.replace(f)
	}
	for _, p := range x.forgotten {
		x.store.providerRows.drop(p.number)
	}
	if x.led.active.count.Load() == 0 && len(x.led.staged) > 0 {
		x.led.since = time.Now()
	}
	delta := 0
	for _, e := range x.led.staged {
		delta += e.publish()
	}
	x.led.active.count.Add(int64(delta))
	x.led.state = x.state
	x.endChores()
	x.store.showCounts()
	for _, fn := range x.after {
		fn()
	}
	x.led.providers.trim()
	if x.rotate {
		x.store.rotate(0)
	}
}

// ensureTable makes sure that the records of ops fit into the active table. If all tables are
// full, it waits for the builder.
func (s *Store) ensureTable(ops []op) error {
	n := 0
	for i := range ops {
		if ops[i].call == nil {
			n++
		}
	}
	if s.led.active.fits(n) {
		return nil
	}
	for {
		tables := s.view.Load().tables
		if len(tables) < maxTables {
			break
		}
		if err := s.await("commit", tables[len(tables)-1].flushed); err != nil {
			return err
		}
	}
	s.rotate(n)
	return nil
}

// rotate creates a new active table for at least n records and lets the builder write out the
// old one.
func (s *Store) rotate(n int) {
	old := s.led.active
	t := newTable(old.gen+1, max(n, s.opts.TableRecords))
	s.led.active = t
	s.led.chores = append(s.led.chores, chore{gen: old.gen, providers: s.led.providers.dirtied()})
	s.change(func(v *view) bool {
		v.tables = append([]*table{t}, v.tables...)
		return true
	})
	s.builder.notify()
}

// call lets the committer run fn in a transaction and waits until it is durable.
func (s *Store) call(name string, fn func(x *txn) error) error {
	if err := s.writable(); err != nil {
		return err
	}
	t, i, err := s.queue.put([]op{{call: fn}}, ownLimit, true)
	if err == nil {
		err = t.result(i)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
