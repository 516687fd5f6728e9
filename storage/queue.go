package storage

import (
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// write is one change on its way into a transaction.
type write struct {
	op string // names it in errors and metrics
	// apply makes the change. It returns one of outcomes before it changed
	// anything, or an error that undoes the transaction. It may be called again;
	// nil: it is left out.
	apply func(*batch) error
	// done receives the result once it is durable; nil: nobody waits.
	done chan error
}

// queue holds the writes that wait for a commit, in order. Safe for concurrent
// use; the committer takes, everyone puts.
type queue struct {
	wake chan struct{} // has one element when next may have a new answer

	mu      sync.Mutex
	pending []write
	waiters int       // writes in pending that somebody waits for
	oldest  time.Time // when the first of pending came
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
	if len(q.pending) == 0 {
		q.oldest = time.Now()
	}
	q.pending = append(q.pending, w)
	if w.done != nil {
		q.waiters++
	}
	if w.done != nil || len(q.pending) == 1 || len(q.pending) == maxBatch {
		q.signal()
	}
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

// next returns the writes to commit now, or how long to wait for them (zero:
// until woken). done tells that the queue is closed and empty.
func (q *queue) next(window time.Duration) (batch []write, wait time.Duration, done bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.pending)
	switch {
	case n == 0:
		return nil, 0, q.closed
	case q.waiters == 0 && n < maxBatch && !q.closed:
		if wait = window - time.Since(q.oldest); wait > 0 {
			return nil, wait, false
		}
	}
	return q.take(), 0, false
}

// take removes the first writes, at most maxBatch.
func (q *queue) take() []write {
	n := min(len(q.pending), maxBatch)
	batch := q.pending[:n:n]
	q.pending = append([]write(nil), q.pending[n:]...)
	for i := range batch {
		if batch[i].done != nil {
			q.waiters--
		}
	}
	return batch
}

// close refuses further writes; those that wait are still taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}
