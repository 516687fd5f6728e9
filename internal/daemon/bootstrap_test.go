package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// linkLatency is the one-way latency of the simulated network.
const linkLatency = 20 * time.Millisecond

// withTwoHosts runs a test in virtual time, on two hosts of a simulated network.
func withTwoHosts(t *testing.T, test func(t *testing.T, h1, h2 host.Host)) {
	synctest.Test(t, func(t *testing.T) {
		net := &simnet.Simnet{LatencyFunc: simnet.StaticLatency(linkLatency), Logger: slog.New(slog.DiscardHandler)}
		t.Cleanup(net.Close)
		var hosts [2]host.Host
		link := simnet.LinkSettings{BitsPerSecond: 20 * simlibp2p.OneMbps}
		for i := range hosts {
			hosts[i] = simlibp2p.MustNewHost(t,
				libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%d.0.0.1/udp/8000/quic-v1", i+1)),
				libp2p.DisableIdentifyAddressDiscovery(), libp2p.DisableMetrics(), libp2p.DisableRelay(),
				simlibp2p.QUICSimnet(net, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}))
			t.Cleanup(func() { hosts[i].Close() })
		}
		net.Start()
		test(t, hosts[0], hosts[1])
	})
}

func nodeOn(t *testing.T, h host.Host, bootstrap ...peer.AddrInfo) *node.Node {
	n, err := node.New(h, node.Config{Bootstrap: bootstrap})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

func infoOf(h host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

// A node does not give up while it is still dialling a bootstrap peer, even without other
// peers to ask.
func TestWaitForPeerWhileDialling(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		id, err := peer.Decode(peerA)
		require.NoError(t, err)
		absent := peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/99.0.0.1/udp/8000/quic-v1")}}
		n := nodeOn(t, h1, absent)
		nodeOn(t, h2, infoOf(h1))
		time.Sleep(time.Second)
		begun := time.Now()
		require.NoError(t, waitForPeer(t.Context(), n))
		require.Greater(t, time.Since(begun), joinQuiet, "the dial took longer")
	})
}

// A node gives up joinQuiet after the last probe has failed, plus or minus joinLook.
func TestWaitForPeerGivesUp(t *testing.T) {
	for _, silence := range []time.Duration{0, 4 * time.Second} {
		withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
			n := nodeOn(t, h1)
			var last time.Time
			h2.SetStreamHandler(n.Protocol(), func(s network.Stream) {
				time.Sleep(silence)
				last = time.Now()
				_ = s.Reset()
			})
			reached, _ := n.Connect(t.Context(), []peer.AddrInfo{infoOf(h2)})
			require.Len(t, reached, 1)
			require.ErrorIs(t, waitForPeer(t.Context(), n), errNotSpoken)
			require.WithinDuration(t, last.Add(joinQuiet), time.Now(), joinLook+linkLatency, silence)
		})
	}
}

// A cancelled caller or a closed node is not reported as a network without peers.
func TestWaitForPeerIsEnded(t *testing.T) {
	for want, end := range map[error]func(n *node.Node, cancel func()){
		context.Canceled: func(_ *node.Node, cancel func()) { cancel() },
		node.ErrClosed:   func(n *node.Node, _ func()) { _ = n.Close() },
	} {
		withTwoHosts(t, func(t *testing.T, h1, _ host.Host) {
			n := nodeOn(t, h1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(joinQuiet/2, func() { end(n, cancel) })
			require.Equal(t, want, waitForPeer(ctx, n))
		})
	}
}

// A lookup without peers reports why the bootstrap peers could not be reached.
func TestLookupWithoutBootstrapPeers(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: []string{"/ip4/127.0.0.1/tcp/1/p2p/" + peerA}})
	_, _, err := d.Bootstrapped(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	_, err = d.Backend().Closest(t.Context(), []byte("key"))
	require.ErrorIs(t, err, api.ErrNoPeers)
	require.ErrorContains(t, err, "no peer could be asked: the routing table is empty, and no bootstrap peer could be reached:\n  "+peerA+": [/ip4/127.0.0.1/tcp/1] ")
}

// A daemon whose restored peers answer does not report its bootstrap peers as dialled.
func TestRestoredPeersReplaceBootstrapPeers(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		mem := records.NewMem(nil)
		cfg := node.Config{Store: mem, Keystore: mem, Snapshots: mem}
		nodeOn(t, h1)
		first, err := node.New(h2, cfg)
		require.NoError(t, err)
		reached, errs := first.Connect(t.Context(), []peer.AddrInfo{infoOf(h1)})
		require.Empty(t, errs)
		require.Len(t, reached, 1)
		require.NoError(t, waitForPeer(t.Context(), first))
		require.NoError(t, first.Close())

		absent := []string{"/ip4/99.0.0.1/udp/8000/quic-v1/p2p/" + peerA}
		cfg.Bootstrap, err = ParseBootstrap(absent)
		require.NoError(t, err)
		n, err := node.New(h2, cfg)
		require.NoError(t, err)
		defer n.Close()
		var out buffer
		d := &Daemon{node: n, host: h2, log: slog.New(slog.NewTextHandler(&out, nil)), bootstrap: bootstrapResult{done: make(chan struct{})}}
		d.config.Network.Bootstrap = absent
		d.reachBootstrap(t.Context())
		require.Contains(t, out.String(), "restored peers answer; bootstrap peers are not needed")
		require.NotContains(t, out.String(), "dialled")
		reached, failed, err := d.Bootstrapped(t.Context())
		require.NoError(t, err)
		require.Empty(t, reached)
		require.Empty(t, failed)
	})
}
