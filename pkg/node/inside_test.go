package node_test

import (
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/dnstest"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// newGate returns a gate for which every name resolves to this machine.
func newGate(t *testing.T) *rpc.Gate {
	return rpc.NewGate(dnstest.Resolver(t, func(string) string { return "127.0.0.1" }))
}

// gated starts a node with a gate. The node announces the given addresses, or its real
// ones if there are none.
func gated(t *testing.T, gate *rpc.Gate, log *slog.Logger, announce ...ma.Multiaddr) *node.Node {
	options := []libp2p.Option{
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ConnectionGater(gate), libp2p.MultiaddrResolver(gate),
	}
	if len(announce) > 0 {
		options = append(options, libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return announce }))
	}
	h, err := libp2p.New(options...)
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	cfg := openConfig()
	cfg.Gate, cfg.Logger = gate, log
	return nodeOn(t, h, cfg)
}

// service listens on this machine and counts the connections.
func service(t *testing.T) (port string, came *atomic.Int32) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	came = new(atomic.Int32)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), came
}

// lookUpTold has the foreign server name a peer with each of the addresses in turn, and n
// look for it.
func lookUpTold(t *testing.T, n *node.Node, f *foreign, addrs ...string) {
	for _, a := range addrs {
		id := newHost(t).ID()
		f.closer.Store(&[]wire.Peer{{ID: kad.PeerID(id), Addrs: [][]byte{ma.StringCast(a).Bytes()}}})
		_, err := n.Closest(testContext(t), []byte(id))
		require.NoError(t, err)
		_, err = n.Ping(testContext(t), peer.AddrInfo{ID: id}) // looks for it first
		require.Error(t, err)
	}
}

var public = ma.StringCast("/ip4/8.8.8.8/tcp/4011")

// No peer on a public address can make a node dial a private address, neither directly
// nor by a name that resolves to one.
func TestNobodyOutsideMakesUsDialInside(t *testing.T) {
	port, came := service(t)
	n := gated(t, newGate(t), nil, public)
	f := joinForeign(t, n)
	lookUpTold(t, n, f,
		"/dns4/evil.example.com/tcp/"+port, "/dns/evil.example.com/tcp/"+port, "/dns4/127.0.0.1/tcp/"+port,
		"/dns4/LOCALHOST/tcp/"+port, "/dns4/redis/tcp/"+port, "/ip4/127.0.0.1/tcp/"+port,
		"/ip6/::ffff:127.0.0.1/tcp/"+port, "/ip4/8.8.8.8/tcp/1/ip4/127.0.0.1/tcp/"+port,
	)
	require.Zero(t, came.Load())
}

// Peers of a private network may name its addresses and names, and so may the operator.
func TestPeersInsideAreDialled(t *testing.T) {
	port, came := service(t)
	n := gated(t, newGate(t), nil)
	f := joinForeign(t, n)
	lookUpTold(t, n, f, "/dns4/node.corp.example.com/tcp/"+port)
	require.NotZero(t, came.Load())
	came.Store(0)
	lookUpTold(t, n, f, "/ip4/127.0.0.1/tcp/"+port)
	require.NotZero(t, came.Load())

	outside := gated(t, newGate(t), nil, public)
	port, err := n.Host().Addrs()[0].ValueForProtocol(ma.P_TCP)
	require.NoError(t, err)
	typed := peer.AddrInfo{ID: n.Host().ID(), Addrs: []ma.Multiaddr{ma.StringCast("/dns4/boot.corp.example.com/tcp/" + port)}}
	reached, errs := outside.Connect(testContext(t), []peer.AddrInfo{typed})
	require.Empty(t, errs)
	require.Equal(t, []peer.ID{typed.ID}, reached)
	other := gated(t, newGate(t), nil, public)
	_, err = other.Ping(testContext(t), typed)
	require.NoError(t, err)
}

// A peer that has announced its own private address is dialled there after it has left.
func TestWhoWasHereInsideIsDialledAgain(t *testing.T) {
	n := gated(t, newGate(t), nil)
	h := joinForeign(t, n).host
	waitFor(t, func() bool { return len(n.Host().Peerstore().Addrs(h.ID())) > 0 })
	require.NoError(t, h.Network().ClosePeer(n.Host().ID()))
	waitFor(t, func() bool { return len(n.Host().Network().ConnsToPeer(h.ID())) == 0 })
	_, err := n.Closest(testContext(t), []byte(h.ID()))
	require.NoError(t, err)
	require.NotEmpty(t, n.Host().Network().ConnsToPeer(h.ID()))
}

// Behind a NAT that hides the source addresses, peers that seem to come from private
// addresses count as public: they get only public addresses, and the diversity limits
// apply to them.
func TestBehindANATInboundPeersArePublic(t *testing.T) {
	var log strings.Builder
	n := gated(t, newGate(t), slog.New(slog.NewTextHandler(&log, nil)), public)
	h, other := joinForeign(t, n).host, joinForeign(t, n).host
	waitFor(t, func() bool { return len(n.Table()) == 2 })
	for _, e := range n.Table() {
		require.Equal(t, "127.0.0.0/16", e.Group)
		require.Empty(t, e.Addrs, "it is in no answer: it has no public address")
	}
	m := ask(t, other, n, &wire.Message{Type: wire.FindNode, Key: []byte(h.ID())})
	require.Empty(t, m.CloserPeers)
	require.NoError(t, n.Close())
	require.Equal(t, 1, strings.Count(log.String(), "a NAT hides the addresses of peers"), log.String())

	log.Reset()
	inside := gated(t, newGate(t), slog.New(slog.NewTextHandler(&log, nil)), public, ma.StringCast("/ip4/10.0.0.1/tcp/4011"))
	joinForeign(t, inside)
	require.Empty(t, inside.Table()[0].Group, "a node that announces a private address has peers inside")
	require.NoError(t, inside.Close())
	require.NotContains(t, log.String(), "NAT")
}
