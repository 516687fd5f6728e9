package storage

import (
	"sync"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// write is one change on its way into a transaction.
type write struct {
	op string // names it in errors and metrics
	// apply makes the change. It returns an outcome (see disk.IsOutcome) before it
	// changed anything, or an error that undoes the transaction. It may be called
	// again; nil: it is left out.
	apply func(*txn) error
	// done receives the result once it is durable.
	done chan error
}

// queue holds the writes that wait for a commit, in order. Safe for concurrent
// use; the committer takes, everyone puts.
type queue struct {
	wake chan struct{} // has one element when next may have a new answer

	mu      sync.Mutex
	pending []write
	closed  bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// put appends w if fewer than limit writes wait.
func (q *queue) put(w write, limit int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return records.ErrClosed
	case len(q.pending) >= limit:
		return records.ErrBusy
	}
	q.pending = append(q.pending, w)
	q.signal()
	return nil
}

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
	return len(q.pending)
}

// next removes and returns a batch: the writes that the next transaction makes durable, the
// first maxBatch at most. done reports that the queue is closed and empty.
func (q *queue) next() (batch []write, done bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.pending), maxBatch)
	batch = q.pending[:n:n]
	q.pending = append([]write(nil), q.pending[n:]...)
	return batch, n == 0 && q.closed
}

// close refuses further writes; those that wait are still taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}
