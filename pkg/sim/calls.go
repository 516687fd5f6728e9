package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Errors of a failed request, besides dht.ErrNotServer.
var (
	errTimeout = errors.New("no answer")
	errRefused = fmt.Errorf("stream reset: %w", dht.ErrRefused)
)

// call is one request in flight, from Output.Send to Responded or Failed. At any time
// exactly one queued event moves it on.
type call struct {
	id           dht.RequestID
	query        dht.QueryID
	msg          *wire.Message
	from, to     uint32
	life, toLife uint32 // of from and to
	sent         time.Duration
	deadline     time.Duration
	dialled      bool // on a connection opened for it
	answer       *answer
	err          error
}

// answer is the response of a server. Answers are reused.
type answer struct {
	msg    wire.Message
	none   bool // the request was accepted and its type has no reply
	closer []kad.Peer
	size   int // bytes on the wire
}

// calls holds the calls in flight by number.
type calls struct {
	list    []call
	free    []uint32
	answers []*answer // free, for reuse
}

func (c *calls) add(x call) uint32 {
	if last := len(c.free) - 1; last >= 0 {
		i := c.free[last]
		c.free = c.free[:last]
		c.list[i] = x
		return i
	}
	c.list = append(c.list, x)
	return uint32(len(c.list) - 1)
}

func (c *calls) remove(i uint32) {
	if a := c.list[i].answer; a != nil {
		a.msg.Record, a.msg.ProviderPeers = nil, nil // the caller owns them
		c.answers = append(c.answers, a)
	}
	c.list[i] = call{}
	c.free = append(c.free, i)
}

func (c *calls) newAnswer() *answer {
	if last := len(c.answers) - 1; last >= 0 {
		a := c.answers[last]
		c.answers = c.answers[:last]
		return a
	}
	return &answer{}
}

// send starts a request of a Machine. A dead or unreachable peer costs the dial timeout,
// a new connection one round trip.
func (w *World) send(n *node, s *dht.Send) {
	num, ok := w.number(s.To.ID)
	if !ok {
		num = n.num // an invented peer: no node has this ID
	}
	to := w.nodes[num]
	c := call{
		id: s.ID, query: s.Query, msg: s.Message, from: n.num, to: num, life: n.life, toLife: to.life,
		sent: w.now, deadline: s.Deadline.Sub(w.epoch),
	}
	w.sent(n, s, &c)
	if to == n || !w.reaches(n, to) {
		c.err = errTimeout
		w.queue.push(min(w.now+dialTimeout, c.deadline), evFailure, w.calls.add(c))
		return
	}
	rtt := w.links.rtt(n, to)
	wait := w.links.transit(w.random.links, rtt)
	if !connected(n, to) {
		c.dialled = true
		wait += rtt
	}
	w.schedule(w.calls.add(c), wait, evRequest)
}

// reaches reports whether a message of n would arrive.
func (w *World) reaches(n, to *node) bool { return to.up() && n.side == to.side }

// schedule moves a call on after wait. A call that would pass its deadline fails at the
// deadline instead.
func (w *World) schedule(i uint32, wait time.Duration, k kind) {
	c := &w.calls.list[i]
	at := w.now + wait
	if at >= c.deadline {
		at, k = max(c.deadline, w.now), evFailure
		if c.err == nil {
			c.err = errTimeout
		}
	}
	w.queue.push(at, k, i)
}

// arrived handles a request that reaches its server.
func (w *World) arrived(i uint32) {
	c := &w.calls.list[i]
	from, to := w.nodes[c.from], w.nodes[c.to]
	if !w.reaches(from, to) || to.life != c.toLife {
		c.err = errTimeout
		w.queue.push(max(w.now, min(c.sent+dialTimeout, c.deadline)), evFailure, i)
		return
	}
	if from.up() && from.life == c.life {
		connect(to, from)
	}
	back := w.links.transit(w.random.links, w.links.rtt(from, to))
	if to.client {
		c.err = dht.ErrNotServer
		w.schedule(i, back, evFailure)
		return
	}
	to.served++
	if !w.serve(to, c) {
		c.err = errRefused
		w.schedule(i, back, evFailure)
	} else {
		w.schedule(i, back, evReply)
	}
	w.meet(to, from, w.calls.list[i].dialled)
}

// serve has a server answer a call. It returns false if the server rejects the call.
func (w *World) serve(n *node, c *call) bool {
	a := w.calls.newAnswer()
	c.answer = a
	if n.evil {
		w.lieTo(c, a)
		return true
	}
	w.resp.CloserPeers, w.resp.ProviderPeers, w.resp.Record = w.resp.CloserPeers[:0], w.resp.ProviderPeers[:0], nil
	w.near = a.closer[:0] // Closer fills it
	w.probed = c.query == 0 && !w.opts.Check
	reply, err := n.handler.Handle(w.clock, dht.Request{From: w.peer(c.from).ID, Message: c.msg}, &w.resp)
	if err != nil {
		return false
	}
	a.none = !reply
	a.closer = w.near
	a.msg.CloserPeers = a.msg.CloserPeers[:0]
	a.size = 0
	if reply {
		w.pack(a)
	}
	if w.opts.Check {
		w.checkAnswer(n, c, a)
	}
	w.handled(n, c)
	return true
}

// pack copies the answer in w.resp: its closer peers as a driver passes them on: without
// the peer that FIND_NODE looked for, which comes first.
func (w *World) pack(a *answer) {
	closer := w.resp.CloserPeers
	w.resp.CloserPeers = nil
	a.size = w.sizeOf(&w.resp, len(closer))
	w.resp.CloserPeers = closer
	a.msg.Type, a.msg.Key, a.msg.Record = w.resp.Type, w.resp.Key, w.resp.Record
	a.msg.ProviderPeers = append(a.msg.ProviderPeers, w.resp.ProviderPeers...)
	if w.probed {
		a.closer = a.closer[:0]
		return
	}
	if len(closer) > 0 && (len(w.near) == 0 || closer[0].ID != w.near[0].ID) {
		a.msg.CloserPeers = append(a.msg.CloserPeers, closer[0])
		a.closer = a.closer[:len(closer)-1]
		if num, ok := w.number(closer[0].ID); ok {
			a.closer = slices.Insert(a.closer, 0, *w.peer(num))
		}
		return
	}
	a.closer = a.closer[:len(closer)]
}

// sizeOf is the length on the wire of a message, which has no closer peers, if that many
// were added. All entries have the same length.
func (w *World) sizeOf(m *wire.Message, closer int) int {
	return frameSize(m.Size() + closer*(len(w.entry)+entryPrefix))
}

// frameSize is the length of a message including its length prefix.
func frameSize(n int) int {
	if n < 1<<7 {
		return n + 1
	}
	return n + 2 // answers are at most 16 KiB
}

// meet does what the driver of a server does with the sender of a request: a sender that
// has just been identified, or that is not in the table, becomes a candidate.
func (w *World) meet(n, from *node, identified bool) {
	p := w.peer(from.num)
	if !n.table.Wants(p.Key) {
		return // PeerFound would change nothing
	}
	sure := identified && !from.client
	if n.table.Has(p.Key) && !sure {
		return
	}
	n.machine.PeerFound(w.clock, *p, sure)
	w.perform(n)
}

// replied handles an answer that reaches the node that asked.
func (w *World) replied(i uint32) {
	c := &w.calls.list[i]
	n := w.nodes[c.from]
	if !n.up() || n.life != c.life {
		w.calls.remove(i)
		return
	}
	if c.dialled {
		n.machine.PeerFound(w.clock, *w.peer(c.to), true) // identify has listed its protocols
	}
	resp := dht.Response{}
	if a := c.answer; !a.none {
		w.dropSelf(n, a)
		resp.Message, resp.Closer = &a.msg, a.closer
	}
	w.answered(n, c)
	n.machine.Responded(w.clock, c.id, resp)
	w.calls.remove(i)
	w.perform(n)
	if n.joining || n.restoring > 0 {
		w.watchStart(n)
	}
}

// dropSelf removes the asking node from the closer peers, as a driver does.
func (w *World) dropSelf(n *node, a *answer) {
	a.closer = a.closer[:without(a.closer, &w.peer(n.num).Key)]
}

// failed handles a call that its node gives up.
func (w *World) failed(i uint32) {
	c := &w.calls.list[i]
	n := w.nodes[c.from]
	if n.up() && n.life == c.life {
		n.machine.Failed(w.clock, c.id, c.err)
		w.calls.remove(i)
		w.perform(n)
		return
	}
	w.calls.remove(i)
}
