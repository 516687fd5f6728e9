package runs

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Store keeps provider records. Safe for concurrent use.
//
// A record goes through it in these steps:
//
//  1. AddProvider checks the record and puts it into the batch of the queue.
//  2. The committer writes the batch to the log and publishes it in the active table. Now
//     readers see the record, and durable calls return.
//  3. When the active table is full or RotateEvery old, the committer rotates: a new table
//     and a new generation of the log take over.
//  4. The builder writes the old table out as runs, one for each epoch, and puts them into
//     the view in its place. The committer then deletes the generation of the log.
//  5. The builder merges the runs of an epoch.
//  6. When all records of the epoch have expired, Expire takes the epoch out of the state
//     and its runs out of the view; the builder frees their pages.
//
// It keeps these invariants:
//
//   - What readers see is durable: in a generation of the log, or in runs.
//   - A view never changes. Of a record, the newest table that names it decides; if none
//     does, its latest expiry in any run.
//   - A run leaves the view before it leaves the file. The inputs of a merge are the
//     exception: while the store is ending one, a reader that misses a run tries again.
//   - There are at most maxTables tables; then writers wait for the builder.
//   - Each file has one writer. The committer and the builder never wait for each other
//     with a transaction open.
//   - After a commit that fails for another reason than room, the store takes no more
//     writes and does not write that file again (ErrFailed).
type Store struct {
	pins disk.Pins // open Snapshots
	opts Options
	log  *disk.File
	runs *disk.File

	view  atomic.Pointer[view]
	infos *infoCache
	seed  hashSeed

	queue     *queue
	led       ledger        // the committer's
	committed chan struct{} // closed when the committer has ended; nil: read-only
	builder   *builder      // nil: read-only

	flushed    atomic.Uint32 // the last generation that is in runs
	counts     atomic.Pointer[counts]
	ending     atomic.Bool // a merge takes its inputs out of the file, then out of the view
	failure    disk.Failure
	refused    refusals
	expired    atomic.Int64
	flushCount atomic.Int64
	mergeCount atomic.Int64

	clean   bool // the last user closed the files properly
	closed  atomic.Bool
	closing sync.Once
	result  error // of Close
}

// counts are what the state says, for everybody.
type counts struct {
	records   int64
	providers int64
	epochs    int
}

// showCounts publishes what the last commit has counted.
func (s *Store) showCounts() {
	st := &s.led.state
	s.counts.Store(&counts{records: st.records(), providers: st.providers, epochs: len(st.epochs)})
}

// AddProvider stores that p has key, until p.Expires rounded down to the second or
// until it was known to have it, whichever is later; see records.Store. With
// durable it returns once the record is on disk and visible, else once it is
// queued.
func (s *Store) AddProvider(now time.Time, key []byte, p records.Provider, durable bool) error {
	l := loose.Get().(*looseOp)
	defer loose.Put(l)
	var err error
	if l.op[0], l.addrs, err = newOp(now, key, &p, l.addrs[:0]); err != nil {
		return err
	}
	if err := s.enqueue(l.op[:], durable); err != nil {
		return fmt.Errorf("add_provider: %w", err)
	}
	return nil
}

// looseOp is a write before it is in a batch.
type looseOp struct {
	op    [1]op
	addrs []byte
}

var loose = sync.Pool{New: func() any { return new(looseOp) }}

// ProviderRecord is a record to add.
type ProviderRecord struct {
	Key      []byte // as on the wire
	Provider records.Provider
}

// AddProviders is AddProvider for many records, in one transaction if they come
// to a free queue. It returns how many were not stored, with one of the reasons;
// if they are not durable, that refers to the queue. A list longer than half of the
// queue's limit goes to the queue in parts, so that it does not wait for an empty one;
// each part is taken or refused as a whole.
func (s *Store) AddProviders(now time.Time, recs []ProviderRecord, durable bool) (refused int, err error) {
	ops := make([]op, 0, len(recs))
	var buf []byte
	for i := range recs {
		var o op
		var e error
		if o, buf, e = newOp(now, recs[i].Key, &recs[i].Provider, buf); e != nil {
			refused, err = refused+1, e
			continue
		}
		ops = append(ops, o)
	}
	for part := range slices.Chunk(ops, max(s.maxPending(durable)/2, 1)) {
		var many manyError
		switch e := s.enqueue(part, durable); {
		case errors.As(e, &many):
			refused, err = refused+many.count, e
		case e != nil:
			refused, err = refused+len(part), e
		}
	}
	if err != nil {
		err = fmt.Errorf("add_providers: %w", err)
	}
	return refused, err
}

// newOp checks a record and makes a write of it. Its addresses are appended to buf.
func newOp(now time.Time, key []byte, p *records.Provider, buf []byte) (op, []byte, error) {
	if err := records.ValidateProvider(key, p); err != nil {
		return op{}, buf, err
	}
	capped, err := records.CapProvider(now, *p)
	if err != nil {
		return op{}, buf, err
	}
	o := op{key: recordKeyOf(key), now: seconds(now), expires: seconds(capped.Expires), id: capped.ID}
	if len(capped.Addrs) > 0 {
		start := len(buf)
		buf = disk.AppendAddrs(buf, capped.Addrs)
		o.addrs, o.addrsExpire = buf[start:], seconds(capped.AddrsExpire)
	}
	return o, buf, nil
}

// manyError is the outcome of several writes of which some failed.
type manyError struct {
	count int
	error
}

func (e manyError) Unwrap() error { return e.error }

// enqueue hands writes to the committer, and waits for them if they are to be
// durable.
func (s *Store) enqueue(ops []op, durable bool) error {
	if err := s.writable(); err != nil {
		return err
	}
	if !durable && s.crowded() && !s.allKnown(ops) {
		s.refused.busy.Add(int64(len(ops)))
		return records.ErrBusy
	}
	t, at, err := s.queue.put(ops, s.maxPending(durable), durable)
	if err != nil {
		if errors.Is(err, records.ErrBusy) {
			s.refused.busy.Add(int64(len(ops)))
		}
		return err
	}
	if !durable {
		return nil
	}
	if len(ops) == 1 {
		return t.result(at)
	}
	return t.results(at, len(ops))
}

// results waits for n writes from place i on.
func (t *ticket) results(i, n int) error {
	<-t.done
	var many manyError
	for ; n > 0 && t.errs != nil; i, n = i+1, n-1 {
		if err := t.errs[i]; err != nil {
			many.count, many.error = many.count+1, err
		}
	}
	if many.count > 0 {
		return many
	}
	return nil
}

// maxPending is the queue's limit for adverts.
func (s *Store) maxPending(durable bool) int {
	if durable {
		return 2 * s.opts.MaxPending
	}
	return s.opts.MaxPending
}

// crowded reports whether the last quarter of the queue has been reached, which
// is kept for refreshes: they keep alive what others already rely on.
func (s *Store) crowded() bool { return s.queue.len() >= s.opts.MaxPending-s.opts.MaxPending/4 }

func (s *Store) allKnown(ops []op) bool {
	for i := range ops {
		if !s.known(ops[i].now, &ops[i].key, ops[i].id) {
			return false
		}
	}
	return true
}

// RemoveProvider forgets that id has key; records.ErrNotFound if it is not known, or
// no longer. Durable on return.
func (s *Store) RemoveProvider(now time.Time, key []byte, id kad.PeerID) error {
	err := s.writable()
	if err == nil {
		var t *ticket
		var at int
		o := op{remove: true, key: recordKeyOf(key), now: seconds(now), id: id}
		if t, at, err = s.queue.put([]op{o}, ownLimit, true); err == nil {
			err = t.result(at)
		}
	}
	if err != nil {
		return fmt.Errorf("remove_provider: %w", err)
	}
	return nil
}

// Flush makes durable and visible what was queued before the call.
func (s *Store) Flush() error { return s.call("flush", func(*txn) error { return nil }) }

// Rotate writes what is in memory out as runs and waits for that. It is never
// needed; Close leaves it to the next Open to read the log.
func (s *Store) Rotate() error {
	var flushed <-chan struct{}
	err := s.call("rotate", func(x *txn) error {
		if x.rotate, x.last = !x.led.active.empty(), true; x.rotate {
			flushed = x.led.active.flushed
		}
		return nil
	})
	if err != nil || flushed == nil {
		return err
	}
	return s.await("rotate", flushed)
}

// CleanStart reports whether the files were new or properly closed before Open.
func (s *Store) CleanStart() bool { return s.clean }

// Err returns why the store takes no more writes (ErrFailed), or nil.
func (s *Store) Err() error { return s.failure.Err() }

func (s *Store) writable() error {
	switch {
	case s.opts.ReadOnly:
		return ErrReadOnly
	case s.closed.Load():
		return records.ErrClosed
	}
	return s.failure.Err()
}

// noteFailure returns an error of a file. If it is ErrFailed, it ends all writing, see
// disk.Failure, and the error is that of the first failure.
func (s *Store) noteFailure(err error) error {
	if !errors.Is(err, ErrFailed) {
		return err
	}
	cause, first := s.failure.Set(err)
	if first {
		s.opts.Logger.Error("storage: no more writes of provider records until the next start", "err", err)
	}
	return cause
}

// report tells the observer of an error of the store's own.
func (s *Store) report(op string, err error) {
	if err != nil && !errors.Is(err, records.ErrClosed) {
		s.opts.Observer.StorageError(op, err)
	}
}

// Close makes durable what was queued and lets go of the files. It waits for
// running reads and may be called more than once.
func (s *Store) Close() error {
	s.closing.Do(func() { s.result = s.close() })
	return s.result
}
