package node_test

import (
	"bufio"
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// ask sends one request from a host that is no DHT node and returns the answer.
func ask(t *testing.T, from host.Host, to *node.Node, req *wire.Message) *wire.Message {
	t.Helper()
	require.NoError(t, from.Connect(testContext(t), infoOf(to)))
	s, err := from.NewStream(testContext(t), to.Host().ID(), to.Protocol())
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Write(wire.AppendFrame(nil, req))
	require.NoError(t, err)
	frame, err := wire.ReadFrame(bufio.NewReader(s), nil, wire.MaxFrame)
	require.NoError(t, err)
	m, err := wire.Parse(frame)
	require.NoError(t, err)
	return m
}

// announce has a host provide key at n with the given addresses.
func announce(t *testing.T, h host.Host, n *node.Node, key string, addrs ...string) {
	t.Helper()
	p := wire.Peer{ID: kad.PeerID(h.ID())}
	for _, a := range addrs {
		p.Addrs = append(p.Addrs, ma.StringCast(a).Bytes())
	}
	ask(t, h, n, &wire.Message{Type: wire.AddProvider, Key: []byte(key), ProviderPeers: []wire.Peer{p}, WantsAck: true})
}

// toldOf returns the addresses that n tells of the only provider of key.
func toldOf(t *testing.T, n *node.Node, key string) (addrs []string) {
	t.Helper()
	m := ask(t, newHost(t), n, &wire.Message{Type: wire.GetProviders, Key: []byte(key)})
	require.Len(t, m.ProviderPeers, 1)
	for _, a := range rpc.Multiaddrs(m.ProviderPeers[0].Addrs) {
		addrs = append(addrs, a.String())
	}
	return addrs
}

// Addresses that name another peer, that are told twice, or that end with the peer's
// own ID take no place in a record from those that are of use.
func TestAnnouncedAddressesAreCleaned(t *testing.T) {
	n, h, other := newNode(t, openConfig()), newHost(t), newHost(t)
	var given []string
	for i := range 16 {
		given = append(given, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", i+1, other.ID()), "/ip4/127.0.0.1/tcp/5000")
	}
	given = append(given, "/ip4/127.0.0.1/tcp/5000/p2p/"+h.ID().String(), "/ip4/127.0.0.1/tcp/6000/p2p/"+h.ID().String())
	announce(t, h, n, "key", given...)
	require.NoError(t, h.Close())
	waitFor(t, func() bool { return len(n.Host().Network().ConnsToPeer(h.ID())) == 0 })
	n.Host().Peerstore().ClearAddrs(h.ID())

	want := []string{"/ip4/127.0.0.1/tcp/5000", "/ip4/127.0.0.1/tcp/6000"}
	require.Equal(t, want, toldOf(t, n, "key"))
	_, err := n.Providers(testContext(t), []byte("key"), 1, func(ai peer.AddrInfo) bool {
		var got []string
		for _, a := range ai.Addrs {
			got = append(got, a.String())
		}
		require.Equal(t, want, got)
		return true
	})
	require.NoError(t, err)
}
