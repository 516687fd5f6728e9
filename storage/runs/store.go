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

// Store stores provider records. Safe for concurrent use.
//
// A record passes through it in these steps:
//
//  1. AddProvider checks the record and adds it to the batch in the queue.
//  2. The committer writes the batch to the log and publishes it in the active table. Now
//     readers see the record, and durable calls return.
//  3. When the active table is full or RotateEvery old, the committer rotates: a new table
//     and a new generation of the log replace the old ones.
//  4. The builder writes the old table out as runs, one per epoch, and replaces it with them
//     in the view. The committer then deletes the generation of the log.
//  5. The builder merges the runs of an epoch.
//  6. When all records of the epoch have expired, Expire removes the epoch from the state
//     and its runs from the view. The builder then frees their pages.
//
// Its invariants:
//
//   - Everything that readers see is durable: in a generation of the log, or in runs.
//   - A view never changes. For each record, the newest table that contains it decides. If no
//     table contains it, the latest expiry in any run decides.
//   - A run leaves the view before it leaves the file. The inputs of a merge are the
//     exception: while the store finishes a merge, a reader that does not find a run retries.
//   - There are at most maxTables tables. At that bound, writers wait for the builder.
//   - Each file has one writer. The committer and the builder never wait for each other with
//     an open transaction.
//   - After a commit that fails for another reason than lack of space, the store refuses all
//     writes and does not write that file again (ErrFailed).
type Store struct {
	pins disk.Pins // open Snapshots
	opts Options
	log  *disk.File
	runs *disk.File

	view         atomic.Pointer[view]
	providerRows *rowCache
	seed         hashSeed

	queue     *queue
	led       ledger        // owned by the committer
	committed chan struct{} // closed when the committer has ended; nil: read-only
	builder   *builder      // nil: read-only

	flushed    atomic.Uint32 // the last generation that has been written to runs
	counts     atomic.Pointer[counts]
	ending     atomic.Bool // a merge is removing its inputs, first from the file, then from the view
	failure    disk.Failure
	refused    refusals
	expired    atomic.Int64
	flushCount atomic.Int64
	mergeCount atomic.Int64

	clean   bool // the files were closed properly before Open
	closed  atomic.Bool
	closing sync.Once
	result  error // of Close
}

// counts are the counters of the state, readable by any goroutine.
type counts struct {
	records   int64
	providers int64
	epochs    int
}

// showCounts publishes the counters of the last commit.
func (s *Store) showCounts() {
	st := &s.led.state
	s.counts.Store(&counts{records: st.records(), providers: st.providers, epochs: len(st.epochs)})
}

// AddProvider stores that p provides key, until p.Expires rounded down to the second, or
// until the stored expiry if that is later (see records.Store). If durable is set, it returns
// once the record is on disk and visible, otherwise once the record is queued.
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

// looseOp is a write that is not yet in a batch.
type looseOp struct {
	op    [1]op
	addrs []byte
}

var loose = sync.Pool{New: func() any { return new(looseOp) }}

// ProviderRecord is a provider record to add.
type ProviderRecord struct {
	Key      []byte // as on the wire
	Provider records.Provider
}

// AddProviders is AddProvider for many records, which share a transaction if the queue has
// capacity for them. It returns how many were not stored, with one of the reasons; without
// durable, how many were not queued. A list longer than half of the queue's limit is queued in
// parts, so that it does not have to wait for an empty queue. Each part is queued or refused as
// a whole.
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

// newOp checks a record and turns it into a write. It appends the addresses to buf.
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

// manyError is the outcome of several writes, some of which failed.
type manyError struct {
	count int
	error
}

func (e manyError) Unwrap() error { return e.error }

// enqueue passes writes to the committer, and waits for them if they are durable.
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

// results waits for n writes of a batch, starting at index i.
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

// maxPending returns the queue's limit for provider records.
func (s *Store) maxPending(durable bool) int {
	if durable {
		return 2 * s.opts.MaxPending
	}
	return s.opts.MaxPending
}

// crowded reports whether the queue has reached its last quarter, which is reserved for
// republished records, because others already rely on them.
func (s *Store) crowded() bool { return s.queue.len() >= s.opts.MaxPending-s.opts.MaxPending/4 }

func (s *Store) allKnown(ops []op) bool {
	for i := range ops {
		if !s.known(ops[i].now, &ops[i].key, ops[i].id) {
			return false
		}
	}
	return true
}

// RemoveProvider removes the record that id provides key. It returns records.ErrNotFound if
// there is no such live record. Durable on return.
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

// Flush makes everything queued before the call durable and visible.
func (s *Store) Flush() error { return s.call("flush", func(*txn) error { return nil }) }

// Rotate writes the records in memory out as runs and waits for that. It is optional: Close
// leaves it to the next Open to read the log.
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

// CleanStart reports whether the files were new or had been closed properly before Open.
func (s *Store) CleanStart() bool { return s.clean }

// Err returns the reason why the store refuses writes (ErrFailed), or nil.
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

// noteFailure is disk.Failure.Note for an error of a file.
func (s *Store) noteFailure(err error) error {
	return s.failure.Note(err, func(err error) {
		s.opts.Logger.Error("storage: file failed; no more writes of provider records until the next start", "err", err)
	})
}

// report passes an internal error of the store to the observer.
func (s *Store) report(op string, err error) {
	if err != nil && !errors.Is(err, records.ErrClosed) {
		s.opts.Observer.StorageError(op, err)
	}
}

// Close makes all queued writes durable and closes the files. It waits for running reads and
// may be called more than once.
func (s *Store) Close() error {
	s.closing.Do(func() { s.result = s.close() })
	return s.result
}
