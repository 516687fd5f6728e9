package daemon

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

// The hosts of the daemon and of short-lived clients dial a private address only if an
// allowed source has named it, as the operator names bootstrap peers.
func TestHostsAreGated(t *testing.T) {
	d := start(t, t.TempDir())
	o, _ := options(t, t.TempDir())
	client, err := StartClient(t.Context(), o.Loaded.Config, d.Addrs()[:1], o.Logs)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	who, err := peer.Decode(peerA)
	require.NoError(t, err)
	for _, h := range []host.Host{d.host, client.host} {
		for _, a := range []string{"/ip4/127.0.0.1/tcp/1", "/ip4/10.255.255.1/tcp/1", "/dns4/localhost/tcp/1", "/ip6/::1/udp/1/quic-v1"} {
			err := h.Connect(t.Context(), peer.AddrInfo{ID: who, Addrs: []ma.Multiaddr{ma.StringCast(a)}})
			require.ErrorContains(t, err, swarm.ErrGaterDisallowedConnection.Error(), a)
			h.Peerstore().ClearAddrs(who)
		}
	}
}
