package node

import (
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// worker is a goroutine that does disk work for the loop. The loop puts work into slots and
// wakes the worker; it never waits.
type worker struct {
	wake chan struct{} // capacity 1: there is work
	stop chan struct{} // closed: finish the work in the slots and end
	done chan struct{} // closed once the goroutine has ended
}

func newWorker() worker {
	return worker{wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

// run calls work whenever it is woken, and once more after stop.
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

// leave puts work into the slots, under their lock, and wakes the worker.
func (w *worker) leave(mu *sync.Mutex, change func()) {
	mu.Lock()
	change()
	mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// closing reports whether the worker should end.
func (w *worker) closing() bool {
	select {
	case <-w.stop:
		return true
	default:
		return false
	}
}

// closeWorkers ends the workers; ErrStuck if the store keeps one of them for longer than
// closeTimeout.
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

// each calls do with each item, up to workers of them concurrently.
func each[T any](workers int, items []T, do func(T)) {
	var g errgroup.Group
	g.SetLimit(workers)
	for _, x := range items {
		g.Go(func() error { do(x); return nil })
	}
	_ = g.Wait() // do reports its own failures
}
