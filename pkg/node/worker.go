package node

import (
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// worker is a goroutine that does disk work for the loop, which leaves work in slots, wakes
// it, and never waits.
type worker struct {
	wake chan struct{} // capacity 1: there is work
	stop chan struct{} // closed: do what is left, and end
	done chan struct{} // closed: it has ended
}

func newWorker() worker {
	return worker{wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

// run does the work whenever it is woken; what was left before stop is still done.
func (w *worker) run(work func()) {
	defer close(w.done)
	for {
		select {
		case <-w.wake:
			work()
		case <-w.stop:
			work()
			return
		}
	}
}

// leave changes the slots under their lock and wakes the worker.
func (w *worker) leave(mu *sync.Mutex, change func()) {
	mu.Lock()
	change()
	mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// closing reports whether the worker is to end.
func (w *worker) closing() bool {
	select {
	case <-w.stop:
		return true
	default:
		return false
	}
}

// closeWorkers ends the workers; ErrStuck if the store holds one of them up.
func closeWorkers(workers ...*worker) error {
	for _, w := range workers {
		close(w.stop)
	}
	late := time.NewTimer(closeTimeout)
	defer late.Stop()
	for _, w := range workers {
		select {
		case <-w.done:
		case <-late.C:
			return ErrStuck
		}
	}
	return nil
}

// each does something with all items, a few at a time.
func each[T any](workers int, items []T, do func(T)) {
	var g errgroup.Group
	g.SetLimit(workers)
	for _, x := range items {
		g.Go(func() error { do(x); return nil })
	}
	_ = g.Wait() // they report what fails
}
