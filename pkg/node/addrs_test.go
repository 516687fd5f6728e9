package node_test

import (
	"bufio"
	"fmt"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	libp2pnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// ask sends one request from a host that is not a DHT node and returns the answer.
func ask(t *testing.T, from host.Host, to *node.Node, req *wire.Message) *wire.Message {
	t.Helper()
	require.NoError(t, from.Connect(testContext(t), infoOf(to)))
	s, err := from.NewStream(testContext(t), to.Host().ID(), to.Protocol())
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Write(wire.AppendFrame(nil, req))
	require.NoError(t, err)
	m, err := nextMessage(bufio.NewReader(s))
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

// toldOf returns the addresses of the only provider of key in n's answer.
func toldOf(t *testing.T, n *node.Node, key string) []string {
	t.Helper()
	m := ask(t, newHost(t), n, &wire.Message{Type: wire.GetProviders, Key: []byte(key)})
	require.Len(t, m.ProviderPeers, 1)
	return texts(m.ProviderPeers[0].Addrs)
}

// Addresses that name another peer, that are duplicates, or that end with the peer's own
// ID do not take the place of useful addresses in a record.
func TestAnnouncedAddressesAreCleaned(t *testing.T) {
	n, h, other := newNode(t, openConfig()), newHost(t), newHost(t)
	var given []string
	for i := range 16 {
		given = append(given, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", i+1, other.ID()), "/ip4/127.0.0.1/tcp/5000")
	}
	given = append(given, "/ip4/127.0.0.1/tcp/5000/p2p/"+h.ID().String(), "/ip4/127.0.0.1/tcp/6000/p2p/"+h.ID().String())
	announce(t, h, n, "key", given...)
	gone(t, n, h)
	n.Host().Peerstore().ClearAddrs(h.ID())

	want := []string{"/ip4/127.0.0.1/tcp/5000", "/ip4/127.0.0.1/tcp/6000"}
	require.Equal(t, want, toldOf(t, n, "key"))
	require.Equal(t, want, foundBy(t, n, "key"))
}

// foundBy returns the addresses that n finds of the only provider of key.
func foundBy(t *testing.T, n *node.Node, key string) (addrs []string) {
	t.Helper()
	told, err := n.Providers(testContext(t), []byte(key), 1, func(ai peer.AddrInfo) bool {
		for _, a := range ai.Addrs {
			addrs = append(addrs, a.String())
		}
		return true
	})
	require.NoError(t, err)
	require.Equal(t, 1, told)
	return addrs
}

// identified waits until n has received the listen addresses of a connected host.
func identified(t *testing.T, n *node.Node, h host.Host) {
	t.Helper()
	waitFor(t, func() bool {
		for _, a := range n.Host().Peerstore().Addrs(h.ID()) {
			if a.Equal(h.Addrs()[0]) {
				return n.Host().Network().Connectedness(h.ID()) == libp2pnet.Connected
			}
		}
		return false
	})
}

// gone waits until n has no connection to a closed host.
func gone(t *testing.T, n *node.Node, h host.Host) {
	t.Helper()
	require.NoError(t, h.Close())
	waitFor(t, func() bool { return len(n.Host().Network().ConnsToPeer(h.ID())) == 0 })
}

// If a provider has returned on another port and is connected to the holder of its
// record, the holder answers with the current port.
func TestProviderOnAnotherPort(t *testing.T) {
	key, _, err := crypto.GenerateEd25519Key(nil)
	require.NoError(t, err)
	n, before := newNode(t, openConfig()), hostWithKey(t, key)
	old := before.Addrs()[0].String()
	announce(t, before, n, "key", old)
	gone(t, n, before)
	require.Equal(t, old, toldOf(t, n, "key")[0], "not connected: as announced")

	now := hostWithKey(t, key)
	require.NoError(t, now.Connect(testContext(t), infoOf(n)))
	identified(t, n, now)
	want := []string{now.Addrs()[0].String(), old}
	require.Equal(t, want, toldOf(t, n, "key"))
	require.Equal(t, want, foundBy(t, n, "key"))
}

// The node adds the addresses that a connected peer has announced to those that a lookup
// finds.
func TestProviderFoundElsewhereIsConnected(t *testing.T) {
	n, holder, h := newNode(t, openConfig()), newNode(t, openConfig()), newHost(t)
	announce(t, h, holder, "key", "/ip4/127.0.0.1/tcp/1")
	reached, _ := n.Connect(testContext(t), []peer.AddrInfo{infoOf(holder)})
	require.Len(t, reached, 1)
	require.NoError(t, n.Joined(testContext(t)))
	require.NoError(t, h.Connect(testContext(t), infoOf(n)))
	identified(t, n, h)
	found := foundBy(t, n, "key")
	require.Contains(t, found, h.Addrs()[0].String())
	require.Equal(t, "/ip4/127.0.0.1/tcp/1", found[len(found)-1], "what the record says comes last")
}

// If a table peer returns on another port, answers contain the new port at once, not only
// after the peer has answered there.
func TestTablePeerOnAnotherPort(t *testing.T) {
	key, _, err := crypto.GenerateEd25519Key(nil)
	require.NoError(t, err)
	n, before := newNode(t, openConfig()), hostWithKey(t, key)
	f := &foreign{hold: make(chan struct{})}
	before.SetStreamHandler(n.Protocol(), f.serve)
	require.NoError(t, before.Connect(testContext(t), infoOf(n)))
	require.NoError(t, n.Joined(testContext(t)))
	gone(t, n, before)

	now := hostWithKey(t, key) // without the DHT protocol: it gets no requests
	require.NoError(t, now.Connect(testContext(t), infoOf(n)))
	identified(t, n, now)
	want, asker := []string{now.Addrs()[0].String()}, newHost(t)
	waitFor(t, func() bool {
		m := ask(t, asker, n, &wire.Message{Type: wire.FindNode, Key: []byte(now.ID())})
		for _, p := range m.CloserPeers {
			if p.ID == kad.PeerID(now.ID()) && slices.Equal(want, texts(p.Addrs)) {
				return true
			}
		}
		return false
	})
}

// texts returns binary multiaddrs as text.
func texts(addrs [][]byte) (out []string) {
	for _, a := range rpc.Multiaddrs(addrs) {
		out = append(out, a.String())
	}
	return out
}
