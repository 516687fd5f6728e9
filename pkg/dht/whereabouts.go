package dht

import (
	"bytes"
	"slices"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// maxTellings limits the answers whose addresses a FindPeer keeps: those of the nearest
// three peers, which end the lookup, and of the sought peer itself. With 16 addresses
// each they add up to wire.MaxPeerAddrs.
const maxTellings = Beta + 1

// whereabouts is what a FindPeer has learned. Any peer may lie about addresses, so the
// first answer does not end the lookup: it continues to the nearest peers, and their
// addresses come first.
type whereabouts struct {
	told []telling // nearest first
	met  bool      // the peer itself has answered
}

// telling is the addresses of the sought peer in one answer.
type telling struct {
	from  kad.Key
	addrs [][]byte
}

// takePeer records the addresses of the sought peer in an answer. It returns true once
// the sought peer itself has answered, because its connection proves who it is.
func (q *query) takePeer(from kad.Peer, msg *wire.Message) (enough bool) {
	target := q.lookup.Target()
	for i := range msg.CloserPeers {
		if p := &msg.CloserPeers[i]; string(p.ID) == string(q.Key) && len(p.Addrs) > 0 {
			q.tell(&target, telling{from: from.Key, addrs: p.Addrs})
			break
		}
	}
	q.met = q.met || string(from.ID) == string(q.Key)
	return q.met
}

// tell keeps the tellings of the peers nearest to target. The sought peer is nearest.
func (w *whereabouts) tell(target *kad.Key, t telling) {
	at, _ := slices.BinarySearchFunc(w.told, t, func(a, b telling) int { return kad.CompareDistance(target, &a.from, &b.from) })
	w.told = slices.Insert(w.told, at, t)
	w.told = w.told[:min(len(w.told), maxTellings)]
}

// peer returns the sought peer with all addresses kept, each once; without an ID if it
// was not found.
func (q *query) peer() wire.Peer {
	if !q.met && len(q.told) == 0 {
		return wire.Peer{}
	}
	p := wire.Peer{ID: kad.PeerID(q.Key)}
	for _, t := range q.told {
		for _, a := range t.addrs {
			if !slices.ContainsFunc(p.Addrs, func(b []byte) bool { return bytes.Equal(a, b) }) {
				p.Addrs = append(p.Addrs, a)
			}
		}
	}
	return p
}
