package node_test

import (
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// disagree gives n three peers that each name a different address of a peer that has
// left. It returns the peer that has left and the addresses, those from the nearest peer
// first.
func disagree(t *testing.T, n *node.Node) (gone peer.ID, addrs []ma.Multiaddr) {
	h := newHost(t)
	gone = h.ID()
	require.NoError(t, h.Close())
	target := kad.KeyOf([]byte(gone))
	told := map[kad.Key]ma.Multiaddr{}
	var from []kad.Key
	for _, a := range []string{"/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2", "/ip4/127.0.0.1/tcp/3"} {
		f := joinForeign(t, n)
		f.closer.Store(&[]wire.Peer{{ID: kad.PeerID(gone), Addrs: [][]byte{ma.StringCast(a).Bytes()}}})
		k := kad.KeyOf([]byte(f.host.ID()))
		from, told[k] = append(from, k), ma.StringCast(a)
	}
	slices.SortFunc(from, func(a, b kad.Key) int { return kad.CompareDistance(&target, &a, &b) })
	for _, k := range from {
		addrs = append(addrs, told[k])
	}
	return gone, addrs
}

// A server that rejects FIND_NODE for a key still takes part in lookups of that key.
func TestPickyServerStoresLongKeys(t *testing.T) {
	ctx := testContext(t)
	n := newNode(t, openConfig())
	f := joinForeign(t, n)
	f.picky.Store(true)
	key := []byte("/example/a key that is longer than any peer ID, and no multihash at all")
	found, err := n.Closest(ctx, key)
	require.NoError(t, err)
	require.Len(t, found, 1)
	res, err := n.Publish(ctx, key, []byte("v"))
	require.NoError(t, err)
	require.Equal(t, 1, res.StoredAt)
	require.Equal(t, 2, f.count(wire.GetProviders), "one a lookup")
}

// No single answer about a peer's addresses is final: all addresses are returned, those
// from the nearest peers first.
func TestFindPeerListensToAll(t *testing.T) {
	n := newNode(t, openConfig())
	gone, addrs := disagree(t, n)
	ai, err := n.FindPeer(testContext(t), gone)
	require.NoError(t, err)
	require.Equal(t, peer.AddrInfo{ID: gone, Addrs: addrs}, ai)
}

// A provider is passed on again for each new address, and counts once.
func TestProviderIsToldAgain(t *testing.T) {
	n := newNode(t, openConfig())
	gone, addrs := disagree(t, n)
	var told []ma.Multiaddr
	count, err := n.Providers(testContext(t), []byte("content"), 0, func(ai peer.AddrInfo) bool {
		require.Equal(t, gone, ai.ID)
		told = append(told, ai.Addrs...)
		return true
	})
	require.NoError(t, err)
	require.Equal(t, 1, count)
	require.ElementsMatch(t, addrs, told)
}

// All answers that are being read together take little memory.
func TestAnswersInFlightAreSmall(t *testing.T) {
	require.Equal(t, 16<<20, dht.MaxRequests*rpc.DefaultMaxField)
}
