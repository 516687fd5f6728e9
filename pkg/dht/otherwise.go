package dht

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// askOtherwise asks a peer that refused the request of a lookup once more, with a
// request of another type: every answer names closer peers, and that is what the walk
// needs. py-libp2p refuses a FIND_NODE whose key looks like no peer ID, js-libp2p a
// GET_PROVIDERS whose key is no multihash.
func (m *Machine) askOtherwise(now time.Time, r *request) {
	q := r.query
	if q.other == nil {
		q.other = &wire.Message{Type: otherType(q.msg), Key: q.Key}
	}
	m.send(now, &request{role: RoleLookup, to: r.to, query: q, other: true}, q.other)
}

// otherType is FIND_NODE, or instead of that GET_PROVIDERS, or GET_VALUE for a key
// that is too long for it.
func otherType(m *wire.Message) wire.Type {
	switch {
	case m.Type != wire.FindNode:
		return wire.FindNode
	case len(m.Key) <= records.MaxKeyLen:
		return wire.GetProviders
	}
	return wire.GetValue
}
