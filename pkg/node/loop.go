package node

import (
	"context"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
)

// call is work for the loop: a function of the Machine that must not block.
type call func(now time.Time, m *dht.Machine)

// Limits of the loop.
const (
	// callQueue limits the calls that wait for the loop. Further callers of do block.
	callQueue = 1024
	// callBatch limits the calls that run before the output is performed.
	callBatch = 64
)

// loop owns the Machine until stop is closed.
func (n *Node) loop() {
	defer close(n.loopDone)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case c := <-n.calls:
			c(time.Now(), n.machine)
			n.drain()
		case now := <-timer.C:
			n.machine.Alive(n.lastAsked())
			n.machine.Tick(now)
		case <-n.stop:
			return
		}
		n.settle()
		if at, ok := n.machine.Deadline(); ok {
			timer.Reset(time.Until(at))
		}
	}
}

// settle ends a turn of the loop: it performs what the Machine asks for and updates what
// others read.
func (n *Node) settle() {
	n.noteIsolation(time.Now())
	n.perform(n.machine.Take())
	n.noteJoined() // after perform, which may end the first attempt
	n.publishView()
}

// drain runs calls that already wait, so that their output is performed together.
func (n *Node) drain() {
	for range callBatch {
		select {
		case c := <-n.calls:
			c(time.Now(), n.machine)
		default:
			return
		}
	}
}

// do passes work to the loop. It blocks while the queue is full.
func (n *Node) do(c call) error {
	select {
	case n.calls <- c:
		return nil
	case <-n.stop:
		return ErrClosed
	}
}

// tryDo passes work to the loop, or drops it if the queue is full.
func (n *Node) tryDo(c call) {
	select {
	case n.calls <- c:
	default:
		n.dropped.Add(1)
	}
}

// ask passes work to the loop and waits until it has run.
func (n *Node) ask(c call) error {
	done := make(chan struct{})
	if err := n.do(func(now time.Time, m *dht.Machine) { c(now, m); close(done) }); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-n.loopDone:
		return ErrClosed
	}
}

// perform does what the Machine asks for, without ever blocking.
func (n *Node) perform(out dht.Output) {
	for _, s := range out.Send {
		ctx, cancel := context.WithDeadline(n.ctx, s.Deadline)
		n.inflight[s.ID] = cancel
		n.workers.Add(1)
		go n.request(ctx, s)
	}
	for _, id := range out.Cancel {
		n.requestEnded(id)
	}
	n.deliver(&out)
	n.publisher.load(out.Load)
	n.publisher.published(out.Published)
	n.performUpkeep(&out)
}

// deliver passes the news of queries to their callers. The trace and the last news of a
// query come before its result.
func (n *Node) deliver(out *dht.Output) {
	for _, t := range out.Traces {
		n.traces.add(t)
		if w, ok := n.waiters[t.Query]; ok {
			w.trace = t
		}
	}
	for _, p := range out.Progress {
		if w, ok := n.waiters[p.Query]; ok {
			w.progress(p)
		}
	}
	for _, r := range out.Done {
		if w, ok := n.waiters[r.Query]; ok {
			delete(n.waiters, r.Query)
			w.finish(r)
		}
	}
}

// performUpkeep starts the periodic work that is due.
func (n *Node) performUpkeep(out *dht.Output) {
	if out.Bootstrap {
		n.startBootstrap()
	} else if out.Retry {
		n.retry()
	}
	if out.Expire {
		n.cleaner.expire()
		if _, verified := n.machine.Table().Len(); verified == 0 {
			n.publisher.noPeers()
		}
	}
	if out.Snapshot && n.snapshotDue() {
		n.cleaner.snapshot(n.takeSnapshot(time.Now()))
	}
}

// ended posts the end of a request to the loop.
func (n *Node) ended(id dht.RequestID, c call) {
	_ = n.do(func(now time.Time, m *dht.Machine) {
		n.requestEnded(id)
		c(now, m)
	})
}

// requestEnded releases the context of a request, once.
func (n *Node) requestEnded(id dht.RequestID) {
	if cancel, ok := n.inflight[id]; ok {
		cancel()
		delete(n.inflight, id)
	}
}
