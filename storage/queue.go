package storage

import (
	"sync"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// write is one queued change.
type write struct {
	op string // names the write in errors and metrics
	// apply makes the change. It returns an outcome (see disk.IsOutcome) before it has
	// changed anything, or an error that rolls the transaction back. It may be called again.
	// Nil: the write is skipped.
	apply func(*txn) error
	// done receives the result: nil once the write is durable.
	done chan error
}

// queue holds the writes that wait for a commit, in order. Safe for concurrent use: any
// goroutine puts, only the committer takes.
type queue struct {
	wake chan struct{} // has one element if the result of next may have changed

	mu      sync.Mutex
	pending []write
	closed  bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// put appends w if fewer than limit writes are waiting.
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

// len returns the number of waiting writes.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending)
}

// next removes and returns the next batch, at most maxBatch writes for one transaction. done
// reports that the queue is closed and empty.
func (q *queue) next() (batch []write, done bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.pending), maxBatch)
	batch = q.pending[:n:n]
	q.pending = append([]write(nil), q.pending[n:]...)
	return batch, n == 0 && q.closed
}

// close refuses further writes. Writes that are already queued are still taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}
