package rpc

import (
	"context"
	"errors"
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

func TestDialErrorReasons(t *testing.T) {
	who, refused := peer.ID("\x00\x01a"), errors.New("connection\n refused")
	tried := []swarm.TransportError{
		{Address: ma.StringCast("/ip4/1.2.3.4/tcp/1"), Cause: refused},
		{Address: ma.StringCast("/ip4/5.6.7.8/tcp/1"), Cause: context.DeadlineExceeded},
	}
	for name, c := range map[string]struct {
		err  error
		want string
		is   error
	}{
		"addresses": {
			&swarm.DialError{Peer: who, DialErrors: tried, Cause: swarm.ErrAllDialsFailed},
			"[/ip4/1.2.3.4/tcp/1] connection refused; [/ip4/5.6.7.8/tcp/1] context deadline exceeded", context.DeadlineExceeded,
		},
		"more than are kept": {
			&swarm.DialError{Peer: who, DialErrors: tried[:1], Cause: swarm.ErrAllDialsFailed, Skipped: 3},
			"[/ip4/1.2.3.4/tcp/1] connection refused; 3 more addresses", refused,
		},
		"no address":      {&swarm.DialError{Peer: who, Cause: swarm.ErrNoAddresses}, "no addresses", swarm.ErrNoAddresses},
		"no cause":        {&swarm.DialError{Peer: who}, "failed to dial " + who.String() + ":", nil},
		"not from a dial": {context.Canceled, "context canceled", context.Canceled},
	} {
		e := NewDialError(who, fmt.Errorf("failed to dial: %w", c.err))
		if name == "not from a dial" {
			e = NewDialError(who, c.err)
		}
		require.Equal(t, who, e.Peer, name)
		require.Equal(t, c.want, e.Reasons.String(), name)
		require.EqualError(t, e, "dial "+who.String()+": "+c.want, name)
		if c.is != nil {
			require.ErrorIs(t, e, c.is, name)
		}
	}
}

// The error of a peer whose names do not resolve lists the names, for a dial and for a request.
func TestDialErrorOfANameWithoutAddress(t *testing.T) {
	other := newHost(t, transports["tcp"])
	at := other.Addrs()[0].String() + "/p2p/" + other.ID().String()
	dns := map[string]string{"_dnsaddr.other.example": "dnsaddr=" + at}
	gate := NewGate(dnstest.Resolver(t, func(name string) string { return dns[name] }))
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ConnectionGater(gate), libp2p.MultiaddrResolver(gate))
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	c := newClient(t, h, ClientConfig{}, nil)
	id, err := peer.Decode(relayID)
	require.NoError(t, err)
	for _, name := range []string{"/dnsaddr/absent.example", "/dns4/absent.example/tcp/1", "/dnsaddr/other.example"} {
		ai := peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{ma.StringCast(name)}}
		gate.Allow(wire.ScopeLoopback, ai.Addrs)
		h.Peerstore().ClearAddrs(id)
		want := "[" + name + "] the name did not resolve to an address of this peer"
		dial := NewDialError(id, h.Connect(t.Context(), ai), ai.Addrs...)
		require.Equal(t, want, dial.Reasons.String())
		require.ErrorIs(t, dial.Reasons[0].Err, ErrUnresolved)
		_, err = c.Request(t.Context(), id, ping("k"))
		require.ErrorIs(t, err, ErrUnreachable)
		require.ErrorContains(t, err, want)
	}
}

// The name of a relay resolves. A dial that must be direct does not use the relay, and its error
// does not blame DNS.
func TestDialErrorOfARelayWithAName(t *testing.T) {
	gate := NewGate(dnstest.Resolver(t, func(string) string { return "127.0.0.1" }))
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.EnableRelay(), libp2p.DisableMetrics(), libp2p.ConnectionGater(gate), libp2p.MultiaddrResolver(gate))
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	id, relay := newHost(t, transports["tcp"]).ID(), newHost(t, transports["tcp"]).ID()
	ai := peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{ma.StringCast("/dns4/relay.example/tcp/1/p2p/" + relay.String() + "/p2p-circuit")}}
	gate.Allow(wire.ScopeLoopback, ai.Addrs)
	dial := NewDialError(id, h.Connect(network.WithForceDirectDial(t.Context(), "test"), ai), ai.Addrs...)
	require.ErrorIs(t, dial, swarm.ErrNoGoodAddresses)
	require.Equal(t, "no good addresses", dial.Reasons.String())
}

// The error of a real dial is parsed: each address has its reason.
func TestDialErrorOfAHost(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	c := newClient(t, h, ClientConfig{}, nil)
	gone := remote.Addrs()[0]
	require.NoError(t, remote.Close())
	_, err := c.Request(t.Context(), remote.ID(), ping("k"))
	var dial *DialError
	require.ErrorAs(t, err, &dial)
	require.ErrorIs(t, err, ErrUnreachable)
	require.Equal(t, remote.ID(), dial.Peer)
	require.Len(t, dial.Reasons, 1)
	require.True(t, dial.Reasons[0].Addr.Equal(gone))
	require.ErrorContains(t, dial.Reasons[0].Err, "refused")
}
