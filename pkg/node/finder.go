package node

import (
	"bytes"
	"context"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// followUps limits the lookups for providers without addresses after a Providers query.
const followUps = 20

// finder passes the providers of one Providers call to the caller's fn: each provider with
// the addresses known so far, and again with addresses that arrive later. Providers without
// addresses come last.
type finder struct {
	n      *Node
	wanted int // 0: all
	fn     func(peer.AddrInfo) bool

	told  map[peer.ID]bool     // true: passed to fn; false: waits in later
	ours  map[peer.ID][][]byte // addresses passed to fn that this node knew, not the query
	later []peer.ID            // providers without addresses so far
	count int                  // distinct providers passed to fn
	over  bool                 // fn wants no more
}

func newFinder(n *Node, wanted int, fn func(peer.AddrInfo) bool) *finder {
	return &finder{n: n, wanted: wanted, fn: fn, told: make(map[peer.ID]bool), ours: make(map[peer.ID][][]byte)}
}

// takeLocal takes the providers of our own store; false once fn wants no more.
func (f *finder) takeLocal(ps []records.Provider) bool {
	for i := range ps {
		p := &ps[i]
		if !f.take(wire.Peer{ID: p.ID, Addrs: p.Addrs}) {
			return false
		}
		id := peer.ID(p.ID)
		f.ours[id] = append(f.ours[id], p.Addrs...)
	}
	return true
}

// take takes a provider, or more addresses of one; false once fn wants no more.
func (f *finder) take(p wire.Peer) bool {
	id := peer.ID(p.ID)
	_, again := f.told[id]
	var addrs []ma.Multiaddr
	switch {
	case again && id == f.n.host.ID():
	case again:
		addrs = rpc.Multiaddrs(f.fresh(p))
	default:
		addrs = f.first(p)
	}
	switch {
	case len(addrs) > 0:
		return f.tell(peer.AddrInfo{ID: id, Addrs: addrs})
	case !again:
		f.told[id] = false
		f.later = append(f.later, id)
	}
	return !f.over
}

// first returns the addresses of a provider that fn has not received: those that the
// provider announced to this node itself, then those of its record; otherwise those of the
// peerstore.
func (f *finder) first(p wire.Peer) []ma.Multiaddr {
	id := peer.ID(p.ID)
	if id == f.n.host.ID() {
		return f.n.host.Addrs()
	}
	said := neighbours{f.n}.Said(nil, p.ID, wire.ScopeLoopback)
	if len(said) > 0 {
		f.ours[id] = said
	}
	addrs := slices.Concat(said, p.Addrs)
	if known := rpc.Multiaddrs(rpc.FilterBytes(nil, p.ID, addrs, wire.ScopeLoopback)); len(known) > 0 {
		return known
	}
	return f.n.host.Peerstore().Addrs(id)
}

// fresh returns the addresses of p without those in ours.
func (f *finder) fresh(p wire.Peer) [][]byte {
	ours := f.ours[peer.ID(p.ID)]
	isOurs := func(a []byte) bool {
		return slices.ContainsFunc(ours, func(b []byte) bool { return bytes.Equal(a, b) })
	}
	return slices.DeleteFunc(slices.Clone(p.Addrs), isOurs)
}

func (f *finder) tell(ai peer.AddrInfo) bool {
	if !f.told[ai.ID] {
		f.told[ai.ID] = true
		f.count++
	}
	f.over = !f.fn(ai) || f.wanted > 0 && f.count >= f.wanted
	return !f.over
}

// followUp looks up the addresses of the providers in later and passes them to fn.
func (f *finder) followUp(ctx context.Context) {
	lookups := 0
	for _, id := range f.later {
		if f.over || ctx.Err() != nil {
			return
		}
		if f.told[id] {
			continue
		}
		ai := peer.AddrInfo{ID: id}
		if lookups++; lookups <= followUps {
			if found, err := f.n.FindPeer(ctx, id); err == nil {
				ai = found
			}
		}
		f.tell(ai)
	}
}
