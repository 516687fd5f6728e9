package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
)

// waiter passes the progress of one query from the loop to its caller. The loop never
// waits for the caller: progress is kept, within the Machine's bounds, until the caller
// takes it.
type waiter struct {
	mu     sync.Mutex
	news   []dht.Progress
	result dht.Result
	trace  *dht.Trace // set before done is closed; nil: the query has no trace

	signal chan struct{} // capacity 1: there is progress
	done   chan struct{} // closed once result is set
}

func newWaiter() *waiter {
	return &waiter{signal: make(chan struct{}, 1), done: make(chan struct{})}
}

func (w *waiter) progress(p dht.Progress) {
	w.mu.Lock()
	w.news = append(w.news, p)
	w.mu.Unlock()
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

func (w *waiter) finish(r dht.Result) {
	w.result = r
	close(w.done)
}

func (w *waiter) take() []dht.Progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := w.news
	w.news = nil
	return news
}

// query runs one query to its end.
func (n *Node) query(ctx context.Context, q dht.Query) (dht.Result, error) {
	return n.follow(ctx, q, resultOnly)
}

// follow is query that calls progress, in the caller's goroutine, with each progress of the
// query, until it returns false: then the query ends early.
func (n *Node) follow(ctx context.Context, q dht.Query, progress func(dht.Progress) bool) (dht.Result, error) {
	w, id, err := n.begin(q.Kind, starting(q))
	if err != nil {
		return dht.Result{}, err
	}
	return n.wait(ctx, id, w, progress)
}

// resultOnly ignores progress.
func resultOnly(dht.Progress) bool { return true }

// starting starts a query and does nothing else.
func starting(q dht.Query) func(time.Time, *dht.Machine) (dht.QueryID, error) {
	return func(now time.Time, m *dht.Machine) (dht.QueryID, error) { return m.Start(now, q) }
}

// begin starts a query in the loop.
func (n *Node) begin(kind dht.QueryKind, start func(time.Time, *dht.Machine) (dht.QueryID, error)) (*waiter, dht.QueryID, error) {
	w := newWaiter()
	var id dht.QueryID
	var busy error
	err := n.ask(func(now time.Time, m *dht.Machine) {
		if id, busy = start(now, m); busy == nil {
			n.waiters[id] = w
		}
	})
	if err != nil {
		return nil, 0, err
	}
	if busy != nil {
		return nil, 0, fmt.Errorf("%s: %w", kind, busy)
	}
	return w, id, nil
}

func (n *Node) wait(ctx context.Context, id dht.QueryID, w *waiter, progress func(dht.Progress) bool) (dht.Result, error) {
	more := func() bool {
		for _, p := range w.take() {
			if !progress(p) {
				return false
			}
		}
		return true
	}
	for {
		select {
		case <-w.signal:
			if !more() {
				n.cancelQuery(id)
				return dht.Result{}, nil
			}
		case <-w.done:
			more()
			return w.result, w.err()
		case <-ctx.Done():
			n.cancelQuery(id)
			return dht.Result{}, ctx.Err()
		}
	}
}

// err returns the error of a finished query; nil if it found or stored something.
func (w *waiter) err() error {
	r := &w.result
	switch {
	case r.Stats.Outcome == dht.OutcomeCancelled && r.Err != nil:
		return r.Err
	case r.Stats.Outcome == dht.OutcomeFailed && r.Stats.Asked == 0:
		return ErrNoPeers
	case r.Stats.Outcome == dht.OutcomeFailed && r.Stats.Responded > 0:
		return fmt.Errorf("%w: %s, sent to %d", ErrNotTaken, r.Stats.Kind, r.Stats.StoreSent)
	case r.Stats.Outcome == dht.OutcomeFailed && r.Err != nil:
		return fmt.Errorf("%w: %s, %d asked: %w", ErrNoAnswer, r.Stats.Kind, r.Stats.Asked, r.Err)
	case r.Stats.Outcome == dht.OutcomeFailed:
		return fmt.Errorf("%w in time: %s, %d asked", ErrNoAnswer, r.Stats.Kind, r.Stats.Asked)
	case r.Stats.Outcome == dht.OutcomeNotFound:
		return ErrNotFound
	}
	return nil
}

func (n *Node) cancelQuery(id dht.QueryID) {
	_ = n.do(func(now time.Time, m *dht.Machine) {
		delete(n.waiters, id)
		m.Cancel(now, id)
	})
}
