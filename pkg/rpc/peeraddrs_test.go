package rpc

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

const someID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

// The addresses of a peer that are passed on, depending on the peer IDs in them.
func TestPeerAddrs(t *testing.T) {
	for _, c := range []struct {
		name        string
		given, kept []string
	}{
		{"plain", []string{"/ip4/1.2.3.4/tcp/1"}, []string{"/ip4/1.2.3.4/tcp/1"}},
		{"own ID", []string{"/ip4/1.2.3.4/tcp/1/p2p/" + someID}, []string{"/ip4/1.2.3.4/tcp/1"}},
		{"own ID twice", []string{"/ip4/1.2.3.4/tcp/1/p2p/" + someID + "/p2p/" + someID}, []string{"/ip4/1.2.3.4/tcp/1"}},
		{"own ID alone", []string{"/p2p/" + someID}, nil},
		{"another peer", []string{"/ip4/1.2.3.4/tcp/1/p2p/" + relayID}, nil},
		{"another peer, then the own", []string{"/ip4/1.2.3.4/tcp/1/p2p/" + relayID + "/p2p/" + someID}, nil},
		{"by way of a relay", []string{"/ip4/1.2.3.4/tcp/1/p2p/" + relayID + "/p2p-circuit/p2p/" + someID},
			[]string{"/ip4/1.2.3.4/tcp/1/p2p/" + relayID + "/p2p-circuit"}},
		{"another peer by way of itself", []string{"/ip4/1.2.3.4/tcp/1/p2p/" + someID + "/p2p-circuit/p2p/" + relayID}, nil},
		{"a name", []string{"/dnsaddr/example.com/p2p/" + someID}, []string{"/dnsaddr/example.com"}},
		{"the same with and without ID", []string{"/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/tcp/2", "/ip4/1.2.3.4/tcp/1/p2p/" + someID},
			[]string{"/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/tcp/2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var given [][]byte
			for _, s := range c.given {
				given = append(given, addrBytes(t, s))
			}
			var kept []string
			for _, a := range Multiaddrs(FilterBytes(nil, kadID(someID), given, wire.ScopePublic)) {
				kept = append(kept, a.String())
			}
			require.Equal(t, c.kept, kept)
		})
	}
}

// Unusable addresses do not count towards the 16.
func TestPeerAddrsAreCleanedBeforeTheyAreCounted(t *testing.T) {
	var given, want [][]byte
	for i := range maxAddrs {
		own := addrBytes(t, fmt.Sprintf("/ip4/1.2.3.4/tcp/%d", i+1))
		want = append(want, own)
		given = append(given, addrBytes(t, "/ip4/5.6.7.8/tcp/1/p2p/"+relayID), addrBytes(t, "/ip4/1.2.3.4/tcp/1"), own)
	}
	require.Equal(t, want, FilterBytes(nil, kadID(someID), given, wire.ScopePublic))
	require.Equal(t, want, FilterBytes(given[:0], kadID(someID), given, wire.ScopePublic), "in place")
}

// The walk over bytes agrees with go-libp2p's own parser.
func TestPeerAddrsAgreeWithSplitAddr(t *testing.T) {
	parts := []string{"/p2p/" + someID, "/p2p/" + relayID, "/p2p-circuit", "/tcp/1", "/ip4/1.2.3.4"}
	self := peer.ID(kadID(someID))
	rapid.Check(t, func(t *rapid.T) {
		text := "/ip4/1.2.3.4/udp/4001/quic-v1"
		for _, p := range rapid.SliceOfN(rapid.SampledFrom(parts), 0, 5).Draw(t, "parts") {
			text += p
		}
		a := ma.StringCast(text)
		want := a
		for {
			rest, id := peer.SplitAddr(want)
			if id == "" {
				break
			}
			if want = rest; id != self {
				want = nil
				break
			}
		}
		got := withoutID(a.Bytes(), kadID(someID))
		require.True(t, bytes.Equal(want.Bytes(), got), "%s: %x", text, got)
	})
}
