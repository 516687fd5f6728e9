package runs

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// ledger is the committer's: what the log holds, as of the last commit, and what
// makes the next one quick.
type ledger struct {
	state  state
	active *table
	since  time.Time // when the active table got its first record
	peers  *peerCache
	drops  uint64               // epochs dropped since open
	hot    map[recordKey]uint32 // keys that take no newcomers before this time
	latest uint32               // time of a record added, unless the clock was set back since
	chores []chore              // oldest first
	gather gather

	// Of the running commit; used again.
	work       []work
	logEntries []byte   // to be appended to the log
	staged     []*entry // entries of the active table
	errs       []error
}

// maxHot bounds the keys known to be full.
const maxHot = 4096

// work is what is known of an op before it is applied.
type work struct {
	peer   *peer  // nil: not known to the log
	hash   uint64 // of the key
	old    uint32 // latest expiry of the record in any run
	copies int64  // of the key's records in runs, at most
}

// txn is a write transaction of the log on its way to its commit.
type txn struct {
	store *Store
	led   *ledger // the store's
	tx    *bbolt.Tx
	view  *view
	state state // as it will be
	last  bool  // the rest of the writes belongs to the next transaction

	// Why newcomers, any records, and even removals are refused; nil: they are taken.
	noNew, noAdds, noRemovals error

	touched   []*peer  // changed by this transaction
	stored    []*peer  // whose tally it stores
	lowered   []*peer  // whose last epoch is an earlier one than before
	forgotten []*peer  // which it removes
	infos     []*info  // to be shown
	ended     int      // chores that it ends
	begun     int      // providers of the next chore that it has dealt with
	after     []func() // called when it is durable
	rotate    bool     // the active table is then replaced

	removalsBefore int // of the active table, for undo
}

// committer makes writes durable until the queue is closed and empty. It is the one
// goroutine that writes the log, the tables and the ledger. For each batch:
//
//  1. The queue hands the batch over when a caller waits for it, when it has grown large
//     (queue.eager), or when the commit window has passed. Writes that come from now on go
//     into the next batch.
//  2. makeRoom rotates if the active table has no room for the batch. If there are
//     maxTables tables already, it first waits for the builder to write one out.
//  3. try begins a transaction, and prepare looks up what the runs have of each record.
//  4. apply applies the writes in the order in which they came. Each is refused, or staged
//     in the active table and added to the entries for the log.
//  5. finish writes the entries, the tallies that are due and the state; then the file
//     commits, with an fsync.
//  6. show publishes what was staged, and the new state.
//  7. commit gives each caller that waits the result of its write.
//
// It relies on these invariants, and keeps them:
//
//   - Nothing is visible or acknowledged before it is durable.
//   - If step 4 or 5 fails, undo leaves ledger and tables as the last commit left them.
//   - A write that cannot be applied fails alone; the others of its batch are tried again,
//     one by one.
//   - A transaction is open only while the committer works. It does not wait for the
//     builder, for a caller or for the queue.
//   - After ErrFailed no transaction is begun.
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

// lingerMost bounds how long the committer waits for those it has just answered.
const lingerMost = 100 * time.Microsecond

// linger lets those whose n writes were just answered come again before the next
// commit begins. Otherwise the callers split into two groups, and each waits for the
// commit of the other.
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

// idle returns how long to wait if the queue asks for wait (negative: for ever).
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

// housekeep does what is due when nothing is to be written.
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

// commit makes a batch durable in one transaction and answers who waits. If one
// of the writes turns out to be impossible, each is tried alone, so that a damaged
// page fails only the writes that need it.
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
	clear(s.led.staged) // of tables that would be kept
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

// applyError is an error of one write, as opposed to one of the commit.
type applyError struct{ error }

func (e *applyError) Unwrap() error { return e.error }

// transact applies writes and commits them, in one transaction if none of them
// ends it. results receives the outcome of each; a returned error is that of all
// but the first done.
func (s *Store) transact(ops []op, results []error) (done int, err error) {
	for {
		if err := s.failure.Err(); err != nil {
			return done, err
		}
		full := s.makeRoom(ops[done:])
		if full != nil && !errors.Is(full, ErrFull) {
			return done, full
		}
		n, err := s.try(ops[done:], results[done:], full)
		done += n
		switch {
		case errors.Is(err, errGone): // the next view does without the run
		case err != nil || done == len(ops):
			return done, err
		}
	}
}

// try makes one transaction of the first n writes. If the tables are full, only
// calls are done.
func (s *Store) try(ops []op, results []error, full error) (n int, err error) {
	start := time.Now()
	tx, err := s.log.Begin()
	if err != nil {
		return 0, s.noteFailure(err)
	}
	x := &txn{store: s, led: &s.led, tx: tx, state: s.led.state.clone(), removalsBefore: len(s.led.active.removals)}
	x.noRemovals = full
	x.noAdds = disk.FirstErr(full, fits(s.log, 0))
	if s.log.Room().Full() || s.runs.Room().Full() {
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

// apply runs writes until one of them is to be the last, and stores what follows
// from them.
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
		// Providers that announce a single record and never come again do not
		// stay in memory until the table is full.
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
	for _, p := range x.led.peers.surplus() {
		if p.dirty {
			if err := x.storeTally(p); err != nil {
				return err
			}
		}
	}
	return x.state.store(x.tx)
}

// storeTally writes how many records name a provider.
func (x *txn) storeTally(p *peer) error {
	counts, err := disk.BucketOf(x.tx, bucketCounts)
	if err != nil {
		return err
	}
	x.stored = append(x.stored, p)
	return counts.Put(disk.U32(p.number), p.encodeCounts(x.state.commitNo))
}

// undo takes back what apply changed in memory.
func (x *txn) undo() {
	clear(x.led.hot)
	for _, e := range x.led.staged {
		e.undo()
	}
	x.led.active.removals = x.led.active.removals[:x.removalsBefore]
	for _, p := range x.forgotten {
		p.gone = false
		x.led.peers.insert(p)
	}
	for _, p := range x.touched {
		if p.fresh {
			x.led.peers.forget(p)
			continue
		}
		p.restore()
	}
}

// show makes current what is now durable, and readers see it.
func (x *txn) show() {
	for _, p := range x.touched {
		p.before, p.fresh, p.dirty = nil, false, true
	}
	for _, p := range x.stored {
		p.commitNo, p.dirty = x.state.commitNo, false
	}
	for _, f := range x.infos {
		x.store.infos.replace(f)
	}
	for _, p := range x.forgotten {
		x.store.infos.drop(p.number)
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
	x.led.peers.trim()
	if x.rotate {
		x.store.rotate(0)
	}
}

// makeRoom makes sure that the records of ops fit the active table, and waits for
// the builder if all tables are full.
func (s *Store) makeRoom(ops []op) error {
	n := 0
	for i := range ops {
		if ops[i].call == nil {
			n++
		}
	}
	if s.led.active.room(n) {
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

// rotate makes a new active table with room for n records, and has the builder
// write out the old one.
func (s *Store) rotate(n int) {
	old := s.led.active
	t := newTable(old.gen+1, max(n, s.opts.TableRecords))
	s.led.active = t
	s.led.chores = append(s.led.chores, chore{gen: old.gen, peers: s.led.peers.dirtied()})
	s.change(func(v *view) bool {
		v.tables = append([]*table{t}, v.tables...)
		return true
	})
	s.builder.notify()
}

// call has the committer run fn in a transaction and waits until it is durable.
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
