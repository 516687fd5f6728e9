package rpc

import (
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/dnstest"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// A name that resolves to a private address is dialled only if a source that may announce
// such an address has announced the name. The same applies to addresses that libp2p has
// learned by itself.
func TestGateJudgesWhatIsDialled(t *testing.T) {
	inside := newHost(t, transports["tcp"])
	port, err := inside.Addrs()[0].ValueForProtocol(ma.P_TCP)
	require.NoError(t, err)
	at := "/tcp/" + port
	dns := map[string]string{
		"evil.example.com": "127.0.0.1", "v6.example.com": "64:ff9b::7f00:1",
		"_dnsaddr.evil.example.com": "dnsaddr=/ip4/127.0.0.1" + at + "/p2p/" + inside.ID().String(),
		"_dnsaddr.deep.example.com": "dnsaddr=/dns4/evil.example.com" + at + "/p2p/" + inside.ID().String(),
	}
	gated := func() (*Gate, func(text string) error) {
		gate := NewGate(dnstest.Resolver(t, func(name string) string { return dns[name] }))
		h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics(),
			libp2p.ConnectionGater(gate), libp2p.MultiaddrResolver(gate), libp2p.ResourceManager(&network.NullResourceManager{}))
		require.NoError(t, err)
		t.Cleanup(func() { h.Close() })
		return gate, func(text string) error {
			h.Network().(*swarm.Swarm).Backoff().Clear(inside.ID())
			h.Peerstore().ClearAddrs(inside.ID())
			return h.Connect(t.Context(), peer.AddrInfo{ID: inside.ID(), Addrs: []ma.Multiaddr{ma.StringCast(text)}})
		}
	}
	gate, dial := gated()
	refused := func(text, why string) {
		require.ErrorContains(t, dial(text), swarm.ErrGaterDisallowedConnection.Error(), why)
	}
	told, deep := "/dns4/evil.example.com"+at, "/dnsaddr/deep.example.com"
	for _, text := range []string{
		told, "/dns/evil.example.com" + at, "/dnsaddr/evil.example.com", deep,
		"/ip4/127.0.0.1" + at, "/ip6/::ffff:127.0.0.1" + at, "/dns6/v6.example.com" + at,
	} {
		refused(text, text)
	}

	gate.Allow(wire.ScopePublic, []ma.Multiaddr{ma.StringCast(told)})
	refused(told, "a peer on a public address has announced it")
	gate.Allow(wire.ScopePrivate, []ma.Multiaddr{ma.StringCast(told)})
	refused(told, "its scope is wider than a private peer may announce")
	gate.Allow(wire.ScopeLoopback, []ma.Multiaddr{ma.StringCast(told)})
	require.NoError(t, dial(told))

	gate, dial = gated()
	gate.Allow(wire.ScopeLoopback, []ma.Multiaddr{ma.StringCast(deep + "/p2p/" + inside.ID().String())})
	require.NoError(t, dial(deep), "names within names")
}

func TestGateRemembersWithinBounds(t *testing.T) {
	gate := NewGate(nil)
	at := func(i int) ma.Multiaddr {
		return ma.StringCast(fmt.Sprintf("/ip4/10.%d.%d.%d/tcp/1", i>>16, i>>8&255, i&255))
	}
	for i := range maxAllowed + 1 {
		gate.Allow(wire.ScopePrivate, []ma.Multiaddr{at(i), ma.StringCast("/ip4/8.8.8.8/tcp/1")})
	}
	require.Equal(t, maxAllowed, gate.allowed.order.Len(), "public addresses are not stored")
	require.False(t, gate.InterceptAddrDial("", at(0)))
	require.True(t, gate.InterceptAddrDial("", at(1)))
	require.True(t, gate.InterceptAddrDial("", ma.StringCast("/ip4/10.0.0.1/tcp/1/p2p/"+relayID+"/p2p-circuit")))
	require.False(t, gate.InterceptAddrDial("", ma.StringCast("/ip4/10.0.0.1/tcp/2")), "another port")
	require.True(t, gate.InterceptAddrDial("", ma.StringCast("/ip4/8.8.8.8/tcp/9")))
	require.False(t, gate.InterceptAddrDial("", ma.StringCast("/dns4/example.com/tcp/443/tls/ws")), "where it leads is unknown")
	var none *Gate
	none.Allow(wire.ScopeLoopback, []ma.Multiaddr{at(0)})
}
