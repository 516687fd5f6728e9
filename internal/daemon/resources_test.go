package daemon

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// On any machine, the node's own limit of streams is below that of libp2p's resource
// manager, and there is enough memory for yamux to reserve for that many streams.
func TestNodeBoundsStreamsBeforeLibp2p(t *testing.T) {
	p := node.ProtocolID("/ipfs")
	for _, memory := range []config.Size{0, 16 << 20, 64 << 20, 128 << 20, 256 << 20, 1 << 30, 8 << 30} {
		for _, conns := range []int{1, 20, 600, 20_000} {
			t.Run(fmt.Sprint(memory, conns), func(t *testing.T) {
				l := config.Limits{Memory: memory, ConnectionsLow: conns, ConnectionsHigh: conns}
				limiter, streams := newLimiter(p, l), maxInboundStreams(l)
				require.LessOrEqual(t, streams, streamsPerConnection*conns)
				require.LessOrEqual(t, int64(streams)*streamWindow, limiter.GetSystemLimits().GetMemoryLimit()/2)
				require.Greater(t, limiter.GetProtocolLimits(p).GetStreamLimit(network.DirInbound), streams)
				require.Greater(t, limiter.GetSystemLimits().GetStreamLimit(network.DirInbound), streams+otherStreams-1)
				require.Greater(t, limiter.GetSystemLimits().GetStreamTotalLimit(), streams+otherStreams-1)
				require.GreaterOrEqual(t, limiter.GetSystemLimits().GetConnLimit(network.DirInbound), 2*conns)
				require.Greater(t, limiter.GetProtocolPeerLimits(p).GetStreamLimit(network.DirInbound), rpc.DefaultMaxStreamsPerPeer)
				require.Greater(t, limiter.GetPeerLimits("any").GetStreamLimit(network.DirInbound), rpc.DefaultMaxStreamsPerPeer)
			})
		}
	}
	require.Equal(t, 4800, maxInboundStreams(config.Limits{Memory: 4 << 30, ConnectionsHigh: 600}))
	require.Equal(t, 512, maxInboundStreams(config.Limits{Memory: 256 << 20, ConnectionsHigh: 600}))
}

// unlimitedHost is a peer without limits.
func unlimitedHost(t *testing.T) host.Host {
	t.Helper()
	return loopbackHost(t, libp2p.ResourceManager(&network.NullResourceManager{}))
}

// holdStreams opens n streams from h, sends one request on each and leaves them open.
func holdStreams(t *testing.T, h host.Host, d *Daemon, n int) {
	t.Helper()
	ping := wire.AppendFrame(nil, &wire.Message{Type: wire.Ping, Key: []byte("k")})
	for range n {
		s, err := h.NewStream(t.Context(), d.ID(), d.node.Protocol())
		require.NoError(t, err)
		require.NoError(t, s.SetDeadline(time.Now().Add(10*time.Second)))
		_, err = s.Write(ping)
		require.NoError(t, err)
		_, err = s.Read(make([]byte, 64))
		require.NoError(t, err)
	}
}

// A few peers with idle streams do not lock out others, also after a reload that lowers
// the limit.
func TestIdleStreamsKeepNobodyOut(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "limits.memory", Value: "256MiB"})
	to := peer.AddrInfo{ID: d.ID(), Addrs: d.Host().Addrs()}
	served := func() {
		h := unlimitedHost(t)
		require.NoError(t, h.Connect(t.Context(), to))
		c := rpc.NewClient(h, d.node.Protocol(), rpc.ClientConfig{}, nil)
		defer c.Close()
		_, err := c.Request(context.Background(), to.ID, &wire.Message{Type: wire.FindNode, Key: []byte("key")})
		require.NoError(t, err)
	}
	for range 12 {
		h := unlimitedHost(t)
		require.NoError(t, h.Connect(t.Context(), to))
		holdStreams(t, h, d, 60)
		require.LessOrEqual(t, d.node.Status().Load.InboundStreams, 512)
	}
	require.Equal(t, 512, d.node.Status().Load.InboundStreams)
	served()
	require.Eventually(t, func() bool { return d.node.Status().Load.InboundStreams == 511 }, 30*time.Second, time.Millisecond,
		"one has been ended for the client, and its own has closed")
	next := d.loaded.Config
	next.Limits.ConnectionsLow, next.Limits.ConnectionsHigh = 10, 20
	require.NoError(t, d.applyLimits(&next))
	require.Equal(t, 160, d.node.Status().Load.InboundStreams)
	served()
}
