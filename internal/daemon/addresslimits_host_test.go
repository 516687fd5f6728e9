package daemon

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/metrics"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// As many peers behind one public address as the limit connect to a host of the daemon, and not
// one more. Hosts, QUIC and limits are real; the network between them is simulated, because a
// test has no public addresses.
func TestPeersBehindOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 5
		net := &simnet.Simnet{LatencyFunc: simnet.StaticLatency(20 * time.Millisecond), Logger: slog.New(slog.DiscardHandler)}
		t.Cleanup(net.Close)
		newHost := func(addr string, options ...libp2p.Option) host.Host {
			link := simnet.LinkSettings{BitsPerSecond: 20 * simlibp2p.OneMbps}
			h := simlibp2p.MustNewHost(t, append(options, libp2p.ListenAddrStrings(addr), libp2p.DisableIdentifyAddressDiscovery(),
				simlibp2p.QUICSimnet(net, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}))...)
			t.Cleanup(func() { h.Close() })
			return h
		}
		resources, refused, _ := limitedResources(t, limit)
		hc := hostConfig{gate: rpc.NewGate(nil), security: []string{"noise", "tls"}}
		options, err := hc.options()
		require.NoError(t, err)
		server := newHost("/ip4/198.51.100.1/udp/8000/quic-v1", append(options, libp2p.ResourceManager(resources))...)
		peers := make([]host.Host, limit+1)
		for i := range peers {
			peers[i] = newHost(fmt.Sprintf("/ip4/203.0.113.1/udp/%d/quic-v1", 8000+i), libp2p.DisableMetrics(), libp2p.DisableRelay())
		}
		net.Start()
		connect := func(h host.Host) {
			_ = h.Connect(t.Context(), peer.AddrInfo{ID: server.ID(), Addrs: server.Addrs()}) // what the server accepts counts
			time.Sleep(time.Second)
		}
		for i, h := range peers[:limit] {
			connect(h)
			require.Len(t, server.Network().Conns(), i+1)
		}
		require.Zero(t, refused.counts())
		last := peers[limit]
		connect(last)
		require.Len(t, server.Network().Conns(), limit)
		require.Empty(t, last.Network().Conns())
		require.Equal(t, metrics.RefusedConnections{Limit: 1}, refused.counts())

		require.NoError(t, peers[0].Close())
		time.Sleep(time.Minute) // the server has noticed
		connect(last)
		require.Len(t, server.Network().ConnsToPeer(last.ID()), 1)
		require.Equal(t, metrics.RefusedConnections{Limit: 1}, refused.counts())
	})
}
