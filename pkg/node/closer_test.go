package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// neighboursOf returns the neighbours of a node whose table has that many peers. address
// reports which of them have a known address.
func neighboursOf(peers int, address func(i int) bool) (neighbours, []kad.Peer) {
	now := time.Unix(1e9, 0)
	table := kbucket.New(kad.KeyOf([]byte("self")), kbucket.Config{})
	n := &Node{book: newBook()}
	v := &view{contacts: map[kad.PeerID]*contact{}}
	var all []kad.Peer
	for i := range peers {
		p := kad.NewPeer(kad.PeerID(fmt.Sprintf("\x00\x24\x08\x01\x12\x20%032d", i)))
		if table.Add(p, "", now) != kbucket.Added {
			continue
		}
		all = append(all, p)
		c := &contact{}
		if address(i) {
			c.raw[wire.ScopePublic] = fmt.Appendf(nil, "raw %d", i)
		}
		v.contacts[p.ID] = c
	}
	v.table = table.View()
	v.place()
	n.view.Store(v)
	return neighbours{n}, all
}

func TestCloser(t *testing.T) {
	target := kad.KeyOf([]byte("target"))
	all := func(int) bool { return true }
	b, peers := neighboursOf(200, all)
	near := b.n.view.Load().table.Nearest(nil, target, 40)
	ids := func(ps []wire.Peer) (out []kad.PeerID) {
		for _, p := range ps {
			out = append(out, p.ID)
		}
		return out
	}
	want := func(from []kad.Peer, keep func(kad.Peer) bool, n int) (out []kad.PeerID) {
		for _, p := range from {
			if len(out) < n && keep(p) {
				out = append(out, p.ID)
			}
		}
		return out
	}
	require.Equal(t, want(near, func(kad.Peer) bool { return true }, 20), ids(b.Closer(nil, target, 20, "x", wire.ScopePublic)))
	require.Equal(t, want(near, func(p kad.Peer) bool { return p.ID != near[3].ID }, 20), ids(b.Closer(nil, target, 20, near[3].ID, wire.ScopePublic)))
	require.Empty(t, b.Closer(nil, target, 20, "x", wire.ScopePrivate))
	require.Empty(t, b.Closer(nil, target, 0, "x", wire.ScopePublic))
	require.NotEmpty(t, peers)

	// Half of them have no address: Closer looks at further ones.
	known := func(p kad.Peer) bool { return p.ID[len(p.ID)-1]%2 == 0 }
	b, _ = neighboursOf(200, func(i int) bool { return i%2 == 0 })
	near = b.n.view.Load().table.Nearest(nil, target, 40)
	require.Equal(t, want(near, known, 20), ids(b.Closer(nil, target, 20, "x", wire.ScopePublic)))

	// Fewer than wanted.
	b, peers = neighboursOf(5, all)
	require.Len(t, b.Closer(nil, target, 20, "x", wire.ScopePublic), len(peers))
}

// An answer looks at the closerScratch nearest peers and no more.
func TestCloserScratch(t *testing.T) {
	target := kad.KeyOf([]byte("target"))
	b, _ := neighboursOf(200, func(int) bool { return false })
	near := b.n.view.Load().table.Nearest(nil, target, closerScratch+1)
	require.Len(t, near, closerScratch+1)
	only := func(i int) []wire.Peer {
		c := b.n.view.Load().contacts[near[i].ID]
		c.raw[wire.ScopePublic] = []byte("raw")
		defer func() { c.raw[wire.ScopePublic] = nil }()
		return b.Closer(nil, target, kad.K, "x", wire.ScopePublic)
	}
	require.Len(t, only(closerScratch-1), 1)
	require.Empty(t, only(closerScratch))
}

func BenchmarkCloser(b *testing.B) {
	nb, _ := neighboursOf(2000, func(int) bool { return true })
	dst := make([]wire.Peer, 0, 40)
	var keys [64]kad.Key
	for i := range keys {
		keys[i] = kad.KeyOf([]byte{byte(i)})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		dst = nb.Closer(dst[:0], keys[i%len(keys)], 20, "x", wire.ScopePublic)
	}
}
