package rpc

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

const relayID = "QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ"

// relayKadID is relayID in binary form.
var relayKadID = kadID(relayID)

func kadID(text string) kad.PeerID {
	id, err := peer.Decode(text)
	if err != nil {
		panic(err)
	}
	return kad.PeerID(id)
}

func addrBytes(t testing.TB, s string) []byte {
	a, err := ma.NewMultiaddr(s)
	require.NoError(t, err)
	return a.Bytes()
}

var scopes = map[string]wire.Scope{
	"/ip4/1.2.3.4/tcp/4001":                                  wire.ScopePublic,
	"/ip4/1.2.3.4/udp/4001/quic-v1/p2p/" + relayID:           wire.ScopePublic,
	"/ip4/10.1.2.3/tcp/1":                                    wire.ScopePrivate,
	"/ip4/172.16.0.1/tcp/1":                                  wire.ScopePrivate,
	"/ip4/192.168.1.1/tcp/1":                                 wire.ScopePrivate,
	"/ip4/169.254.1.1/tcp/1":                                 wire.ScopePrivate,
	"/ip4/100.64.0.1/tcp/1":                                  wire.ScopePrivate,
	"/ip4/198.18.0.1/tcp/1":                                  wire.ScopePrivate,
	"/ip4/203.0.113.1/tcp/1":                                 wire.ScopePrivate,
	"/ip4/240.0.0.1/tcp/1":                                   wire.ScopePrivate,
	"/ip4/127.0.0.1/tcp/1":                                   wire.ScopeLoopback,
	"/ip4/127.255.1.2/tcp/1":                                 wire.ScopeLoopback,
	"/ip4/0.0.0.0/tcp/1":                                     notUsable,
	"/ip4/224.0.0.1/udp/1":                                   notUsable,
	"/ip6/2a00:1450::1/tcp/1":                                wire.ScopePublic,
	"/ip6/64:ff9b::102:304/tcp/1":                            wire.ScopePublic,
	"/ip6/fd00::1/tcp/1":                                     wire.ScopePrivate,
	"/ip6/fe80::1/tcp/1":                                     wire.ScopePrivate,
	"/ip6zone/eth0/ip6/fe80::1/tcp/1":                        wire.ScopePrivate,
	"/ip6/2001:db8::1/tcp/1":                                 wire.ScopePrivate,
	"/ip6/::1/tcp/1":                                         wire.ScopeLoopback,
	"/ip6/::ffff:127.0.0.1/tcp/1":                            wire.ScopeLoopback,
	"/ip6/::ffff:1.2.3.4/tcp/1":                              wire.ScopePublic,
	"/ip6/::/tcp/1":                                          notUsable,
	"/ip6/ff02::1/udp/1":                                     notUsable,
	"/dns4/example.com/tcp/1":                                wire.ScopePublic,
	"/dnsaddr/bootstrap.libp2p.io":                           wire.ScopePublic,
	"/dns/localhost/tcp/1":                                   wire.ScopeLoopback,
	"/dns4/printer.local./tcp/1":                             wire.ScopePrivate,
	"/dns6/nas.home.arpa/tcp/1":                              wire.ScopePrivate,
	"/memory/7":                                              wire.ScopeLoopback,
	"/p2p-circuit":                                           notUsable,
	"/p2p/" + relayID + "/p2p-circuit":                       notUsable,
	"/ip4/1.2.3.4/tcp/1/p2p/" + relayID + "/p2p-circuit":     wire.ScopePublic,
	"/ip4/192.168.0.9/tcp/1/p2p/" + relayID + "/p2p-circuit": wire.ScopePrivate,
}

func TestScopes(t *testing.T) {
	for s, want := range scopes {
		a := ma.StringCast(s)
		require.Equal(t, want, scopeOf(a), s)
		require.Equal(t, want, binaryScope(a.Bytes()), s)
		if want == notUsable {
			want = wire.ScopePublic
		}
		require.Equal(t, want, ScopeOf(a), s)
	}
	require.Equal(t, wire.ScopePublic, ScopeOf(nil))
}

func TestFilters(t *testing.T) {
	var addrs []ma.Multiaddr
	var raw [][]byte
	for s := range scopes {
		addrs = append(addrs, ma.StringCast(s))
		raw = append(raw, addrBytes(t, s))
	}
	raw = append(raw, nil, []byte{4}, []byte{4, 1, 2, 3}, []byte{0xff, 0xff}, []byte("\x04\x01\x02\x03\x04\xee\x7f"),
		append(addrBytes(t, "/ip4/1.2.3.4"), 0x35, 0xff, 1), make([]byte, 1000))
	for scope := range wire.Scope(wire.NumScopes) {
		for i := range addrs {
			kept := FilterAddrs(nil, addrs[i:i+1], scope)
			require.Equal(t, scopes[addrs[i].String()] <= scope, len(kept) == 1, "%v for scope %d", addrs[i], scope)
			require.Len(t, FilterBytes(nil, relayKadID, raw[i:i+1], scope), len(kept))
		}
		for _, b := range raw[len(addrs):] {
			require.Empty(t, FilterBytes(nil, relayKadID, [][]byte{b}, scope), "%x", b)
		}
	}
}

func TestFiltersAreBounded(t *testing.T) {
	var addrs []ma.Multiaddr
	var raw [][]byte
	for i := range 100 {
		a := ma.StringCast(fmt.Sprintf("/ip4/1.2.3.4/tcp/%d", i+1))
		addrs, raw = append(addrs, a), append(raw, a.Bytes())
	}
	require.Equal(t, addrs[:maxAddrs], FilterAddrs(nil, addrs, wire.ScopePublic))
	require.Equal(t, raw[:maxAddrs], FilterBytes(nil, relayKadID, raw, wire.ScopePublic))
	long := "/dns4/"
	for range 60 {
		long += "aaaaa."
	}
	a := ma.StringCast(long + "com/tcp/1")
	require.Empty(t, FilterAddrs(nil, []ma.Multiaddr{a}, wire.ScopeLoopback))
	require.Empty(t, FilterBytes(nil, relayKadID, [][]byte{a.Bytes()}, wire.ScopeLoopback))
}

// An address that passes the fast walk over binary addresses must not cause a panic later.
func TestBinaryScopeOnNoise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "addr")
		if rapid.Bool().Draw(t, "start well") {
			b = append([]byte{4, 1, 2, 3, 4}, b...)
		}
		s := binaryScope(b)
		if a, err := ma.NewMultiaddrBytes(b); err == nil && len(b) <= wire.MaxAddrLen && len(a) > 0 {
			require.Equal(t, scopeOf(a), s)
		}
		_ = Multiaddrs([][]byte{b})
	})
}

func TestGroups(t *testing.T) {
	for s, want := range map[string]string{
		"/ip4/1.2.3.4/tcp/1":                                 "1.2.0.0/16",
		"/ip4/1.2.200.4/udp/1/quic-v1":                       "1.2.0.0/16",
		"/ip4/1.2.3.4/tcp/1/p2p/" + relayID + "/p2p-circuit": "1.2.0.0/16",
		"/ip6/::ffff:1.2.3.4/tcp/1":                          "1.2.0.0/16",
		"/ip6/2a00:1450:4001::1/tcp/1":                       "AS15169",
		"/ip6/3fff:ffff:1::1/tcp/1":                          "3fff:ffff::/32",
		"/ip6/64:ff9b::102:304/tcp/1":                        "1.2.0.0/16",
		"/ip6/2002:102:304::1/tcp/1":                         "1.2.0.0/16",
		"/ip4/10.0.0.1/tcp/1":                                "",
		"/ip4/127.0.0.1/tcp/1":                               "",
		"/ip6zone/eth0/ip6/fe80::1/tcp/1":                    "",
		"/dns4/example.com/tcp/1":                            "",
		"/p2p-circuit":                                       "",
	} {
		a := ma.StringCast(s)
		require.Equal(t, want, GroupOf(a, ScopeOf(a)), s)
	}
	require.Empty(t, GroupOf(nil, wire.ScopePublic))
	require.Equal(t, "172.17.0.0/16", GroupOf(ma.StringCast("/ip4/172.17.0.1/tcp/1"), wire.ScopePublic), "one that counts as public")
}

func TestMultiaddrs(t *testing.T) {
	a := ma.StringCast("/ip4/1.2.3.4/tcp/1")
	in := [][]byte{a.Bytes(), []byte("rubbish"), nil}
	got := Multiaddrs(in)
	_, _ = rand.Read(in[0])
	require.Equal(t, []ma.Multiaddr{a}, got, "what does not parse is left out, nothing aliases the rest")
}

func BenchmarkFilterBytes(b *testing.B) {
	addrs := twentyPeers()[0].Addrs
	dst := make([][]byte, 0, maxAddrs)
	b.ReportAllocs()
	for b.Loop() {
		dst = FilterBytes(dst[:0], relayKadID, addrs, wire.ScopePublic)
	}
}

func TestLRU(t *testing.T) {
	l := newLRU[int, string](2)
	l.store(1, "a")
	l.store(2, "b")
	v, ok := l.load(1)
	require.True(t, ok)
	require.Equal(t, "a", v)
	l.store(3, "c")
	_, ok = l.load(2)
	require.False(t, ok, "the one not used longest is forgotten")
	l.store(1, "A")
	v, _ = l.load(1)
	require.Equal(t, "A", v)
	l.remove(1)
	l.remove(1)
	require.Equal(t, 1, l.order.Len())
}
