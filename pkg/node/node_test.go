package node_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	libp2pnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/routing"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what must happen soon. No test waits that long if it passes.
// On a busy machine a probe may fail, and the node then does not probe the peer again for
// dht.FailedProbePause.
const patience = dht.FailedProbePause + 60*time.Second

func newHost(t testing.TB) host.Host {
	t.Helper()
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"),
		libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ForceReachabilityPrivate(),
	)
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

func openConfig() node.Config {
	return node.Config{UnvalidatedNamespaces: []string{"example"}, RawKeys: true}
}

func newNode(t testing.TB, cfg node.Config) *node.Node {
	t.Helper()
	return nodeOn(t, newHost(t), cfg)
}

// nodeOn starts a node that is closed at the end of the test.
func nodeOn(t testing.TB, h host.Host, cfg node.Config) *node.Node {
	t.Helper()
	n, err := node.New(h, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

// infoOf returns the listen addresses of a node, whatever addresses it announces.
func infoOf(n *node.Node) peer.AddrInfo {
	return peer.AddrInfo{ID: n.Host().ID(), Addrs: n.Host().Network().ListenAddresses()}
}

// network starts count nodes that join through the first, all at once, and waits until each
// knows all others or 12 of them.
func network(t testing.TB, count int, cfg node.Config) []*node.Node {
	t.Helper()
	nodes := []*node.Node{newNode(t, cfg)}
	cfg.Bootstrap = []peer.AddrInfo{infoOf(nodes[0])}
	for len(nodes) < count {
		nodes = append(nodes, newNode(t, cfg))
	}
	for _, n := range nodes {
		waitFor(t, func() bool { return n.Status().VerifiedPeers >= min(count-1, 12) })
	}
	return nodes
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, patience, 20*time.Millisecond)
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestValuesAndProviders(t *testing.T) {
	ctx := testContext(t)
	nodes := network(t, 5, openConfig())
	key := []byte("/example/greeting")
	res, err := nodes[1].Publish(ctx, key, []byte("hello"))
	require.NoError(t, err)
	require.Equal(t, 4, res.StoredAt)

	for _, n := range nodes {
		got, err := n.Get(ctx, key, 0)
		require.NoError(t, err)
		require.Equal(t, "hello", string(got.Value))
		require.GreaterOrEqual(t, got.Responders, 3) // beta
	}

	content := sha256.Sum256([]byte("content"))
	_, err = nodes[2].ProvideKey(ctx, content[:])
	require.NoError(t, err)
	for _, n := range nodes {
		var found []peer.AddrInfo
		_, err := n.Providers(ctx, content[:], 0, func(ai peer.AddrInfo) bool { found = append(found, ai); return true })
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, nodes[2].Host().ID(), found[0].ID)
		require.NotEmpty(t, found[0].Addrs)
	}

	_, err = nodes[0].Get(ctx, []byte("/example/nothing"), 0)
	require.ErrorIs(t, err, node.ErrNotFound)
	_, err = nodes[0].Providers(ctx, []byte("nothing"), 0, func(peer.AddrInfo) bool { return true })
	require.ErrorIs(t, err, node.ErrNotFound)
}

// Programs written for go-libp2p's interfaces check for its error.
func TestNotFoundIsThatOfRouting(t *testing.T) {
	for _, err := range []error{node.ErrNotFound, fmt.Errorf("get: %w", node.ErrNotFound)} {
		require.ErrorIs(t, err, routing.ErrNotFound)
		require.ErrorIs(t, err, node.ErrNotFound)
		require.NotErrorIs(t, err, node.ErrNoAnswer)
	}
	require.NotErrorIs(t, node.ErrNoAnswer, routing.ErrNotFound)
	require.EqualError(t, node.ErrNotFound, "not found")
}

func TestClosestEqualsBruteForce(t *testing.T) {
	ctx := testContext(t)
	const count = 30
	nodes := network(t, count, openConfig())
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 10 {
		key := fmt.Appendf(nil, "key %d", i)
		target := kad.KeyOf(key)
		asker := nodes[rng.IntN(count)]
		var want []peer.ID
		for _, n := range nodes {
			if n != asker {
				want = append(want, n.Host().ID())
			}
		}
		slices.SortFunc(want, func(a, b peer.ID) int {
			x, y := kad.KeyOf([]byte(a)), kad.KeyOf([]byte(b))
			return kad.CompareDistance(&target, &x, &y)
		})
		// On a busy machine a peer may be too slow at first, or not know its own
		// addresses yet when it is identified.
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			found, err := asker.Closest(ctx, key)
			require.NoError(c, err)
			var got []peer.ID
			for _, ai := range found {
				require.NotEmpty(c, ai.Addrs)
				got = append(got, ai.ID)
			}
			require.Equal(c, want[:20], got)
		}, patience, 20*time.Millisecond)
	}
}

func TestAloneThenJoined(t *testing.T) {
	ctx := testContext(t)
	a := newNode(t, openConfig())
	res, err := a.Publish(ctx, []byte("/example/k"), []byte("v"))
	require.NoError(t, err)
	require.Zero(t, res.StoredAt)
	got, err := a.Get(ctx, []byte("/example/k"), 0)
	require.NoError(t, err)
	require.Equal(t, "v", string(got.Value))
	_, err = a.Closest(ctx, []byte("x"))
	require.ErrorIs(t, err, node.ErrNoPeers)
	require.ErrorIs(t, err, node.ErrNoAnswer)

	cfg := openConfig()
	cfg.Bootstrap = []peer.AddrInfo{infoOf(a)}
	b := newNode(t, cfg)
	require.NoError(t, b.Joined(ctx))
	got, err = b.Get(ctx, []byte("/example/k"), 0)
	require.NoError(t, err)
	require.Equal(t, "v", string(got.Value))
}

// TestNobodyAnswers has a node whose only peer has left. That no peer answered is a
// different error from "not found".
func TestNobodyAnswers(t *testing.T) {
	ctx := testContext(t)
	nodes := network(t, 2, openConfig())
	a, b := nodes[0], nodes[1]
	_, err := a.Get(ctx, []byte("/example/absent"), 0)
	require.ErrorIs(t, err, node.ErrNotFound)
	require.NotErrorIs(t, err, node.ErrNoAnswer)
	require.NoError(t, b.Host().Close())
	stranger := peer.ID(kad.RandomPreimage(rand.New(rand.NewPCG(1, 2)), kad.Prefix{}))
	for name, ask := range map[string]func() error{
		"get":       func() error { _, err := a.Get(ctx, []byte("/example/absent"), 0); return err },
		"find peer": func() error { _, err := a.FindPeer(ctx, stranger); return err },
		"closest":   func() error { _, err := a.Closest(ctx, []byte("absent")); return err },
		"store":     func() error { _, err := a.PublishOnce(ctx, []byte("/example/k"), []byte("v")); return err },
		"providers": func() error {
			_, err := a.Providers(ctx, []byte("absent"), 0, func(peer.AddrInfo) bool { return true })
			return err
		},
	} {
		err := ask()
		require.ErrorIs(t, err, node.ErrNoAnswer, name)
		require.NotErrorIs(t, err, node.ErrNotFound, name)
	}
	res, err := a.Publish(ctx, []byte("/example/mine"), []byte("v"))
	require.NoError(t, err)
	require.Zero(t, res.StoredAt)
}

func TestFindPeer(t *testing.T) {
	ctx := testContext(t)
	nodes := network(t, 4, openConfig())
	last := nodes[3]
	for _, n := range nodes[:3] {
		ai, err := n.FindPeer(ctx, last.Host().ID())
		require.NoError(t, err)
		require.NotEmpty(t, ai.Addrs)
	}
	_, err := nodes[0].FindPeer(ctx, peer.ID(kad.RandomPreimage(rand.New(rand.NewPCG(1, 2)), kad.Prefix{})))
	require.ErrorIs(t, err, node.ErrNotFound)
	rtt, err := nodes[0].Ping(ctx, infoOf(last))
	require.NoError(t, err)
	require.Positive(t, rtt)
}

func TestStrictKeys(t *testing.T) {
	ctx := testContext(t)
	n := newNode(t, node.Config{})
	for _, key := range []string{"plain", "/example/x", "/", "", "/pk"} {
		_, err := n.Publish(ctx, []byte(key), []byte("v"))
		require.ErrorIs(t, err, node.ErrInvalidKey, key)
		_, err = n.Get(ctx, []byte(key), 0)
		require.ErrorIs(t, err, node.ErrInvalidKey, key)
	}
}

// A peer that cannot be dialled fails with a reason for each address.
func TestDialErrors(t *testing.T) {
	ctx, n := testContext(t), newNode(t, openConfig())
	closed := ma.StringCast("/ip4/127.0.0.1/tcp/1")
	ai := peer.AddrInfo{ID: nobody.ID, Addrs: []ma.Multiaddr{closed}}
	_, pinged := n.Ping(ctx, ai)
	_, connected := n.Connect(ctx, []peer.AddrInfo{ai})
	require.Len(t, connected, 1)
	for _, err := range append(connected, pinged) {
		var dial *rpc.DialError
		require.ErrorAs(t, err, &dial)
		require.Equal(t, closed, dial.Reasons[0].Addr)
		require.NotContains(t, err.Error(), "bootstrap")
	}
}

// A peer that accepts pings and does not answer does not count as answering at once.
func TestPingWithoutAnswer(t *testing.T) {
	n, silent := newNode(t, openConfig()), newHost(t)
	hold := make(chan struct{})
	defer close(hold)
	for _, p := range []protocol.ID{ping.ID, n.Protocol()} {
		silent.SetStreamHandler(p, func(libp2pnet.Stream) { <-hold })
	}
	ctx, cancel := context.WithTimeout(testContext(t), 200*time.Millisecond)
	defer cancel()
	_, err := n.Ping(ctx, peer.AddrInfo{ID: silent.ID(), Addrs: silent.Addrs()})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
