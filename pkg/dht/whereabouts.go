package dht

import (
	"bytes"
	"slices"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// maxTellings bounds the answers whose addresses a FindPeer keeps: those of the
// nearest three, which end the lookup, and of the peer itself. At 16 addresses each
// they are wire.MaxPeerAddrs together.
const maxTellings = Beta + 1

// whereabouts are what a FindPeer has learned. Anybody may lie about the addresses of
// a peer, so the first answer is not the last word: the lookup goes on to the nearest,
// and what they say comes first.
type whereabouts struct {
	told []telling // nearest first
	met  bool      // the peer itself has answered
}

// telling is what one answer said of the addresses of the peer looked for.
type telling struct {
	from  kad.Key
	addrs [][]byte
}

// takePeer notes what an answer says of the peer looked for. It is enough once the
// peer itself has answered: its connection proves who it is.
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

// tell keeps the tellings of those nearest to target. The peer itself is nearest.
func (w *whereabouts) tell(target *kad.Key, t telling) {
	at, _ := slices.BinarySearchFunc(w.told, t, func(a, b telling) int { return kad.CompareDistance(target, &a.from, &b.from) })
	w.told = slices.Insert(w.told, at, t)
	w.told = w.told[:min(len(w.told), maxTellings)]
}

// peer is the peer looked for with all addresses kept, once each; without an ID if
// it was not found.
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
