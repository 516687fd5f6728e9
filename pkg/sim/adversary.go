package sim

import (
	"encoding/binary"
	"math/bits"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Adversaries speak the protocol and stay in routing tables, but they name only each
// other, discard what they are asked to store and hold no records.

// lie turns a share of the servers into adversaries.
func (w *World) lie(p float64) {
	for _, n := range w.servers(p) {
		w.turn(n)
	}
}

func (w *World) turn(n *node) {
	w.truth.remove(n.num)
	n.evil = true
	w.liars.add(n.num)
}

// lieTo answers a call as an adversary does.
func (w *World) lieTo(c *call, a *answer) {
	a.closer, a.size = a.closer[:0], 0
	a.none = c.msg.Type == wire.AddProvider
	if a.none {
		return
	}
	target := kad.KeyOf(c.msg.Key)
	asker := c.from
	w.found = w.liars.closest(w.found[:0], &target, w.opts.Protocol.K, func(num uint32) bool { return num != asker })
	for _, num := range w.found {
		a.closer = append(a.closer, *w.peer(num))
	}
	a.msg = wire.Message{Type: c.msg.Type, Key: c.msg.Key}
	if c.msg.Type == wire.PutValue {
		a.msg.Record, a.closer = c.msg.Record, a.closer[:0]
	}
	a.size = w.sizeOf(&a.msg, len(a.closer))
}

// entryPrefix is the bytes that a message adds to an entry: its tag and its length.
const entryPrefix = 2

// sybils places n adversaries around each of some keys, nearer than any honest server is
// likely to be. A real attacker gets such IDs by trying many.
func (w *World) sybils(n, keys int) {
	near := bits.Len(uint(len(w.truth.order))) + 2
	for range keys {
		c := w.newContent(false)
		w.besieged = append(w.besieged, c)
		for range n {
			s := w.addNode(kad.NewPeer(w.newIDNear(uint32(len(w.nodes)), &c.at, near)))
			s.stable, s.evil = true, true
			w.liars.add(s.num)
			w.start(s)
		}
	}
}

// newIDNear tries IDs until the key of one shares cpl bits with target.
func (w *World) newIDNear(num uint32, target *kad.Key, cpl int) kad.PeerID {
	b := []byte(w.newID(num))
	for n := uint64(0); ; n++ {
		binary.BigEndian.PutUint64(b[idLen-8:], n)
		if k := kad.KeyOf(b); kad.CommonPrefixLen(&k, target) >= cpl {
			return kad.PeerID(b)
		}
	}
}
