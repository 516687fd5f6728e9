package runs

import (
	"math"
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// ownLimit is the queue limit for calls: there is none, because a goroutine waits for each of
// them.
const ownLimit = math.MaxInt

// op is one queued write.
type op struct {
	// call, if set, runs in the transaction, and the other fields are ignored. It returns an
	// outcome (see disk.IsOutcome) before it has changed anything, or an error that rolls the
	// transaction back. After an error it may be called again.
	call func(x *txn) error

	remove      bool // otherwise: add
	key         recordKey
	now         uint32
	expires     uint32
	addrsExpire uint32
	id          kad.PeerID
	addrs       []byte // see disk.AppendAddrs; stored in the batch's arena
}

// batch contains the writes of one transaction.
type batch struct {
	ops    []op
	arena  []byte    // memory of the ops' addresses
	oldest time.Time // when the first write was queued
	ticket *ticket   // nil: no caller waits
}

// ticket is shared by all callers that wait for the same batch.
type ticket struct {
	done chan struct{} // closed when the results are final
	errs []error       // by index of the write in the batch; nil: all succeeded
}

func (t *ticket) result(i int) error {
	<-t.done
	if t.errs == nil {
		return nil
	}
	return t.errs[i]
}

// How much memory a batch keeps for its next use, in bytes and writes.
const (
	keepArena = 2 << 20
	keepOps   = 16 << 10
)

func (b *batch) reset() {
	clear(b.ops) // release strings and closures
	b.ops, b.arena, b.ticket = b.ops[:0], b.arena[:0], nil
	if cap(b.arena) > keepArena {
		b.arena = nil
	}
	if cap(b.ops) > keepOps {
		b.ops = nil
	}
}

// queue holds the batch for the next commit. Safe for concurrent use: any goroutine puts,
// only the committer takes.
type queue struct {
	wake  chan struct{} // has one element if the committer should check the queue
	eager int           // number of writes that do not wait for the commit window

	mu      sync.Mutex
	pending *batch
	spare   *batch // replaces pending when it is taken
	closed  bool
}

func newQueue(eager int) *queue {
	return &queue{wake: make(chan struct{}, 1), eager: eager, pending: &batch{}, spare: &batch{}}
}

// put appends writes if all of them fit under limit, and returns the ticket of the batch and
// the index of the first write. Without wait, the ticket may be nil. put copies the ops'
// addresses.
func (q *queue) put(ops []op, limit int, wait bool) (t *ticket, at int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.pending
	at = len(b.ops)
	switch {
	case q.closed:
		return nil, 0, records.ErrClosed
	case at+len(ops) > limit:
		return nil, 0, records.ErrBusy
	}
	if at == 0 {
		b.oldest = time.Now()
	}
	for _, o := range ops {
		start := len(b.arena)
		b.arena = append(b.arena, o.addrs...)
		o.addrs = b.arena[start:len(b.arena):len(b.arena)]
		b.ops = append(b.ops, o)
	}
	if wait && b.ticket == nil {
		b.ticket = &ticket{done: make(chan struct{})}
	}
	if wait || at == 0 || at < q.eager && len(b.ops) >= q.eager {
		q.signal()
	}
	return b.ticket, at, nil
}

// signal wakes the committer.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// len returns the number of waiting writes.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending.ops)
}

// next returns the batch to commit now, or how long to wait for one (negative: until woken).
// done reports that the queue is closed and empty.
func (q *queue) next(window time.Duration) (b *batch, wait time.Duration, done bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b = q.pending
	switch {
	case len(b.ops) == 0:
		return nil, -1, q.closed
	case b.ticket == nil && len(b.ops) < q.eager && !q.closed:
		if wait = window - time.Since(b.oldest); wait > 0 {
			return nil, wait, false
		}
	}
	q.pending, q.spare = q.spare, nil
	if q.pending == nil {
		q.pending = &batch{}
	}
	return b, 0, false
}

// recycle returns a batch whose writes are complete, for reuse.
func (q *queue) recycle(b *batch) {
	b.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = b
}

// close refuses further writes. Writes that are already queued are still taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}
