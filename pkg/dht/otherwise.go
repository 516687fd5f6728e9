package dht

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// askOtherwise asks a peer that refused the request of a lookup once more, with a
// request of another type. Every answer names closer peers, which is all that the walk
// needs. py-libp2p refuses a FIND_NODE whose key is not a peer ID; js-libp2p refuses a
// GET_PROVIDERS whose key is not a multihash.
func (m *Machine) askOtherwise(now time.Time, r *request) {
	q := r.query
	if q.other == nil {
		q.other = &wire.Message{Type: otherType(q.msg), Key: q.Key}
	}
	m.send(now, &request{role: RoleLookup, to: r.to, query: q, other: true}, q.other)
}

// otherType returns FIND_NODE; if that was refused, GET_PROVIDERS, or GET_VALUE for a key
// that is too long for GET_PROVIDERS.
func otherType(m *wire.Message) wire.Type {
	switch {
	case m.Type != wire.FindNode:
		return wire.FindNode
	case len(m.Key) <= records.MaxKeyLen:
		return wire.GetProviders
	}
	return wire.GetValue
}
