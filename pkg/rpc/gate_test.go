package rpc

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// names is a DNS of the test's own.
type names map[string]string

func (n names) LookupIPAddr(_ context.Context, name string) ([]net.IPAddr, error) {
	if ip := net.ParseIP(n[strings.TrimSuffix(name, ".")]); ip != nil {
		return []net.IPAddr{{IP: ip}}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (n names) LookupTXT(_ context.Context, name string) ([]string, error) {
	return []string{n[strings.TrimSuffix(name, ".")]}, nil
}

func newGate(t *testing.T, dns names) *Gate {
	r, err := madns.NewResolver(madns.WithDefaultResolver(dns))
	require.NoError(t, err)
	return NewGate(swarm.ResolverFromMaDNS{Resolver: r})
}

// service listens inside and counts who comes.
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

// A name is dialled where it leads only if somebody has told it who may tell such an
// address; and so is what libp2p has learned by itself.
func TestGateJudgesWhatIsDialled(t *testing.T) {
	const id = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo"
	port, came := service(t)
	gate := newGate(t, names{
		"evil.example.com": "127.0.0.1", "v6.example.com": "64:ff9b::7f00:1",
		"_dnsaddr.evil.example.com": "dnsaddr=/ip4/127.0.0.1/tcp/" + port + "/p2p/" + id,
		"_dnsaddr.deep.example.com": "dnsaddr=/dns4/evil.example.com/tcp/" + port + "/p2p/" + id,
	})
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ConnectionGater(gate), libp2p.MultiaddrResolver(gate), libp2p.ResourceManager(&network.NullResourceManager{}))
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	who, err := peer.Decode(id)
	require.NoError(t, err)
	dial := func(text string) error {
		h.Network().(*swarm.Swarm).Backoff().Clear(who)
		h.Peerstore().ClearAddrs(who)
		return h.Connect(t.Context(), peer.AddrInfo{ID: who, Addrs: []ma.Multiaddr{ma.StringCast(text)}})
	}
	told := []string{
		"/dns4/evil.example.com/tcp/" + port, "/dns/evil.example.com/tcp/" + port, "/dnsaddr/evil.example.com",
		"/dnsaddr/deep.example.com", "/ip4/127.0.0.1/tcp/" + port, "/ip6/::ffff:127.0.0.1/tcp/" + port,
		"/dns6/v6.example.com/tcp/" + port,
	}
	for _, text := range told {
		require.ErrorContains(t, dial(text), swarm.ErrGaterDisallowedConnection.Error(), text)
	}
	require.Zero(t, came.Load(), "nobody may make us dial it")

	evil := ma.StringCast(told[0])
	gate.Allow(wire.ScopePublic, []ma.Multiaddr{evil})
	require.ErrorContains(t, dial(told[0]), swarm.ErrGaterDisallowedConnection.Error(), "a peer on a public address has told it")
	gate.Allow(wire.ScopePrivate, []ma.Multiaddr{evil})
	require.ErrorContains(t, dial(told[0]), swarm.ErrGaterDisallowedConnection.Error(), "it leads further inside than a private peer may tell")
	gate.Allow(wire.ScopeLoopback, []ma.Multiaddr{evil})
	require.NotContains(t, dial(told[0]).Error(), swarm.ErrGaterDisallowedConnection.Error())
	require.EqualValues(t, 1, came.Load())

	gate.Allow(wire.ScopeLoopback, []ma.Multiaddr{ma.StringCast("/dnsaddr/deep.example.com/p2p/" + id)})
	require.NotContains(t, dial(told[3]).Error(), swarm.ErrGaterDisallowedConnection.Error(), "names within names")
	require.EqualValues(t, 2, came.Load())
}

func TestGateRemembersWithinBounds(t *testing.T) {
	gate := newGate(t, nil)
	at := func(i int) ma.Multiaddr {
		return ma.StringCast(fmt.Sprintf("/ip4/10.%d.%d.%d/tcp/1", i>>16, i>>8&255, i&255))
	}
	for i := range maxAllowed + 1 {
		gate.Allow(wire.ScopePrivate, []ma.Multiaddr{at(i), ma.StringCast("/ip4/8.8.8.8/tcp/1")})
	}
	require.Equal(t, maxAllowed, gate.allowed.len(), "public addresses take no place")
	require.False(t, gate.InterceptAddrDial("", at(0)))
	require.True(t, gate.InterceptAddrDial("", at(1)))
	require.True(t, gate.InterceptAddrDial("", ma.StringCast("/ip4/10.0.0.1/tcp/1/p2p/"+relayID+"/p2p-circuit")))
	require.False(t, gate.InterceptAddrDial("", ma.StringCast("/ip4/10.0.0.1/tcp/2")), "another port")
	require.True(t, gate.InterceptAddrDial("", ma.StringCast("/ip4/8.8.8.8/tcp/9")))
	require.False(t, gate.InterceptAddrDial("", ma.StringCast("/dns4/example.com/tcp/443/tls/ws")), "nobody has seen where it leads")
	var none *Gate
	none.Allow(wire.ScopeLoopback, []ma.Multiaddr{at(0)})
}
