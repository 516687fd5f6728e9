package sim

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// observer counts what all Machines of a world do.
type observer struct {
	dht.NopObserver
	w *World
}

// RequestDone counts requests by role.
func (o observer) RequestDone(role dht.Role, ok bool, _ time.Duration) {
	c := &o.w.phase.roles[role]
	c.sent++
	if !ok {
		c.failed++
	}
}

// QueryDone counts queries by kind and the cost of republishing.
func (o observer) QueryDone(s dht.QueryStats) {
	p := o.w.phase
	p.queries[s.Kind].count++
	p.queries[s.Kind].asked += int64(s.Asked)
	if s.Scheduled {
		p.republished.keys++
		p.republished.asked += int64(s.Asked)
		p.republished.stores += int64(s.StoreSent)
		p.republished.replicas += int64(s.StoredAt)
	}
}

// sent counts a request that leaves a node.
func (w *World) sent(n *node, s *dht.Send, c *call) {
	t := &w.phase.traffic[s.Message.Type]
	t.requests++
	t.requestBytes += int64(frameSize(s.Message.Size()))
	if c.query == 0 {
		return
	}
	if o := n.op(c.query); o != nil {
		o.messages++
	}
}

// handled counts an answer and records who holds a record now.
func (w *World) handled(n *node, c *call) {
	t := &w.phase.traffic[c.msg.Type]
	t.answers++
	t.answerBytes += int64(c.answer.size)
	switch c.msg.Type {
	case wire.AddProvider:
		w.stored(n, c.msg.Key, w.now+w.opts.Protocol.TTL)
	case wire.PutValue:
		ttl := time.Duration(c.msg.Record.TTL) * time.Second
		w.stored(n, c.msg.Key, w.now+ttl)
	}
}

// answered follows an answer to an operation: the peers in it are one hop farther than
// its sender.
func (w *World) answered(n *node, c *call) {
	if c.query == 0 {
		return
	}
	o := n.op(c.query)
	if o == nil {
		return
	}
	hop := o.hops[c.to] + 1
	o.rounds = max(o.rounds, hop)
	w.heard(o, c.answer.closer, hop)
}
