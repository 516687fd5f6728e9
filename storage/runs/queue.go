package runs

import (
	"math"
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// ownLimit is the queue's bound for calls: none, for each has a goroutine that
// waits for it.
const ownLimit = math.MaxInt

// op is one write on its way into a transaction.
type op struct {
	// call, if it is not nil, is run in the transaction instead of the rest. It
	// returns an outcome (see disk.IsOutcome) before it changed anything, or an error
	// that undoes the transaction; it may then be called again.
	call func(x *txn) error

	remove      bool // else: add
	key         recordKey
	now         uint32
	expires     uint32
	addrsExpire uint32
	id          kad.PeerID
	addrs       []byte // see disk.AppendAddrs; in the batch's arena
}

// batch is the writes that one transaction makes durable.
type batch struct {
	ops    []op
	arena  []byte    // of the ops' addresses
	oldest time.Time // when the first came
	ticket *ticket   // nil: nobody waits
}

// ticket is what those wait on whose writes share a commit.
type ticket struct {
	done chan struct{} // closed when the results stand
	errs []error       // by the place of the write in the batch; nil: all is well
}

func (t *ticket) result(i int) error {
	<-t.done
	if t.errs == nil {
		return nil
	}
	return t.errs[i]
}

// What a batch keeps for its next use, in bytes and writes.
const (
	keepArena = 2 << 20
	keepOps   = 16 << 10
)

func (b *batch) reset() {
	clear(b.ops) // of strings and closures
	b.ops, b.arena, b.ticket = b.ops[:0], b.arena[:0], nil
	if cap(b.arena) > keepArena {
		b.arena = nil
	}
	if cap(b.ops) > keepOps {
		b.ops = nil
	}
}

// queue holds the batch that the next commit will take. Safe for concurrent use;
// the committer takes, everyone puts.
type queue struct {
	wake  chan struct{} // has one element when the committer should look again
	eager int           // how many writes do not wait for the commit window

	mu      sync.Mutex
	pending *batch
	spare   *batch // for the time after pending was taken
	closed  bool
}

func newQueue(eager int) *queue {
	return &queue{wake: make(chan struct{}, 1), eager: eager, pending: &batch{}, spare: &batch{}}
}

// put appends writes if there is room for all of them under limit, and returns the ticket
// and the place of the first. Without wait the ticket is nil. The ops' addresses are copied.
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

// signal makes the committer look again.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// len returns how many writes wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending.ops)
}

// next returns the batch to commit now, or how long to wait for one (negative:
// until woken). Done tells that the queue is closed and empty.
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

// recycle takes back a batch whose writes are done.
func (q *queue) recycle(b *batch) {
	b.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = b
}

// close refuses further writes; those that wait are still taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}
