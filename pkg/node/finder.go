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

// followUps bounds the providers without addresses that are looked up after a
// Providers query.
const followUps = 20

// finder tells the providers of one Providers call to its caller: each once with the
// addresses known by then, those without addresses last, and again with addresses
// that come later.
type finder struct {
	n      *Node
	wanted int // 0: all
	fn     func(peer.AddrInfo) bool

	told  map[peer.ID]bool     // false: it waits in later
	ours  map[peer.ID][][]byte // addresses told that this node knew; the query does not know of them
	later []peer.ID
	count int // distinct peers told
	over  bool
}

func newFinder(n *Node, wanted int, fn func(peer.AddrInfo) bool) *finder {
	return &finder{n: n, wanted: wanted, fn: fn, told: make(map[peer.ID]bool), ours: make(map[peer.ID][][]byte)}
}

// takeLocal is told of the providers in our own store; false once no more are wanted.
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

// take is told of a provider, or of more addresses of one; false once no more are
// wanted.
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

// first returns the addresses of a provider told for the first time: those it gives of
// itself to this node, then those of its record, or else what the peerstore has.
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

// fresh returns the addresses that were not told as ours.
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

// followUp looks up the addresses of providers that came without any.
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
