package rpc

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// The scope of an address depends on where it leads, in every notation.
func TestWhereAddressesLead(t *testing.T) {
	long := strings.Repeat("a", maxLabel)
	for text, want := range map[string]wire.Scope{
		// Names: upper case, trailing dot, one label, special last labels.
		"/dns4/LOCALHOST/tcp/1":                          wire.ScopeLoopback,
		"/dns4/LocalHost./tcp/1":                         wire.ScopeLoopback,
		"/dns4/a.LOCALHOST/tcp/1":                        wire.ScopeLoopback,
		"/dns4/localhost.localdomain/tcp/1":              wire.ScopeLoopback,
		"/dns6/ip6-localhost/tcp/1":                      wire.ScopeLoopback,
		"/dns4/Printer.LOCAL/tcp/1":                      wire.ScopePrivate,
		"/dns4/a.svc.cluster.local/tcp/1":                wire.ScopePrivate,
		"/dns4/router/tcp/80":                            wire.ScopePrivate,
		"/dns/redis/tcp/6379":                            wire.ScopePrivate,
		"/dnsaddr/redis":                                 wire.ScopePrivate,
		"/dns4/com./tcp/1":                               wire.ScopePrivate,
		"/dns4/nas.lan/tcp/80":                           wire.ScopePrivate,
		"/dns4/nas.LAN/tcp/80":                           wire.ScopePrivate,
		"/dns4/nas.home/tcp/80":                          wire.ScopePrivate,
		"/dns4/nas.corp/tcp/80":                          wire.ScopePrivate,
		"/dns4/nas.mail/tcp/80":                          wire.ScopePrivate,
		"/dns4/nas.intranet/tcp/80":                      wire.ScopePrivate,
		"/dns4/nas.private/tcp/80":                       wire.ScopePrivate,
		"/dns4/metadata.google.internal/tcp/80":          wire.ScopePrivate,
		"/dns4/host.docker.internal/tcp/80":              wire.ScopePrivate,
		"/dns4/nas.home.arpa/tcp/80":                     wire.ScopePrivate,
		"/dns4/1.0.10.in-addr.arpa/tcp/80":               wire.ScopePrivate,
		"/dns4/a.test/tcp/1":                             wire.ScopePrivate,
		"/dns4/a.example/tcp/1":                          wire.ScopePrivate,
		"/dns4/a.invalid/tcp/1":                          wire.ScopePrivate,
		"/dns4/a.onion/tcp/1":                            wire.ScopePrivate,
		"/dns4/a.alt/tcp/1":                              wire.ScopePrivate,
		"/dnsaddr/a.LAN":                                 wire.ScopePrivate,
		"/dns4/local.example.com/tcp/1":                  wire.ScopePublic,
		"/dns4/Node-1.Example.COM/tcp/1":                 wire.ScopePublic,
		"/dns4/_dnsaddr.example.com./tcp/1":              wire.ScopePublic,
		"/dns4/127.0.0.1.nip.io/tcp/5001":                wire.ScopePublic, // until it is resolved
		"/dns4/" + long + ".example.com/tcp/1":           wire.ScopePublic,
		"/dns4/" + long + "a.example.com/tcp/1":          notUsable,
		"/dns4/a..example.com/tcp/1":                     notUsable,
		"/dns4/.example.com/tcp/1":                       notUsable,
		"/dns4/example.com../tcp/1":                      notUsable,
		"/dns4/./tcp/1":                                  notUsable,
		"/dns4/exa mple.com/tcp/1":                       notUsable,
		"/dns4/\uff4cocalhost.com/tcp/1":                 notUsable,
		"/dns4/example.com%00.lan/tcp/1":                 notUsable,
		"/dns4/" + strings.Repeat("a.", 127) + "a/tcp/1": notUsable,

		// Addresses written as names, in every notation that a resolver may accept.
		"/dns4/10.1.2.3/tcp/1":          wire.ScopePrivate,
		"/dns4/10.1.2.3./tcp/1":         wire.ScopePrivate,
		"/dns4/127.0.0.1/tcp/1":         wire.ScopeLoopback,
		"/dnsaddr/127.0.0.1":            wire.ScopeLoopback,
		"/dns4/8.8.8.8/tcp/1":           wire.ScopePublic,
		"/dns4/0.0.0.0/tcp/1":           notUsable,
		"/dns6/::1/tcp/1":               wire.ScopeLoopback,
		"/dns/::ffff:10.0.0.1/tcp/1":    wire.ScopePrivate,
		"/dns6/fd00::1/tcp/1":           wire.ScopePrivate,
		"/dns6/64:ff9b::10.0.0.1/tcp/1": wire.ScopePrivate,
		"/dns6/2a00:1450::1/tcp/1":      wire.ScopePublic,
		"/dns6/fe80::1%eth0/tcp/1":      notUsable,
		"/dns6/2a00:1450::1%eth0/tcp/1": notUsable,
		"/dns4/127.1/tcp/1":             notUsable,
		"/dns4/2130706433/tcp/1":        notUsable,
		"/dns4/017700000001/tcp/1":      notUsable,
		"/dns4/0x7f000001/tcp/1":        notUsable,
		"/dns4/0X7F.1/tcp/1":            notUsable,
		"/dns4/0x7f.0.0.0x1/tcp/1":      notUsable,
		"/dns4/010.0.0.1/tcp/1":         notUsable,
		"/dns4/300.1.1.1/tcp/1":         notUsable,

		// IPv6 addresses that contain IPv4 addresses.
		"/ip6/::ffff:10.0.0.1/tcp/80":           wire.ScopePrivate,
		"/ip6/::ffff:127.0.0.1/tcp/80":          wire.ScopeLoopback,
		"/ip6/::ffff:8.8.8.8/tcp/80":            wire.ScopePublic,
		"/ip6/::127.0.0.1/tcp/80":               wire.ScopePrivate,
		"/ip6/::ffff:0:8.8.8.8/tcp/80":          wire.ScopePrivate,
		"/ip6/64:ff9b::7f00:1/tcp/80":           wire.ScopeLoopback,
		"/ip6/64:ff9b::a00:1/tcp/80":            wire.ScopePrivate,
		"/ip6/64:ff9b::c0a8:101/tcp/80":         wire.ScopePrivate,
		"/ip6/64:ff9b::a9fe:a9fe/tcp/80":        wire.ScopePrivate,
		"/ip6/64:ff9b::/tcp/80":                 notUsable,
		"/ip6/64:ff9b::e000:1/tcp/80":           notUsable,
		"/ip6/64:ff9b::808:808/tcp/80":          wire.ScopePublic,
		"/ip6/64:ff9b:1::808:808/tcp/80":        wire.ScopePrivate,
		"/ip6/2002:7f00:1::/tcp/80":             wire.ScopeLoopback,
		"/ip6/2002:a00:1::1/tcp/80":             wire.ScopePrivate,
		"/ip6/2002:c0a8:101::1/tcp/80":          wire.ScopePrivate,
		"/ip6/2002:6440:1::1/tcp/80":            wire.ScopePrivate,
		"/ip6/2002::1/tcp/80":                   notUsable,
		"/ip6/2002:808:808::1/tcp/80":           wire.ScopePublic,
		"/ip6/2001:0:a00:1::1/tcp/80":           wire.ScopePrivate,
		"/ip6/2001:0:808:808::f5ff:fffe/tcp/80": wire.ScopePrivate,
		"/ip6/2001:2::1/tcp/80":                 wire.ScopePrivate,
		"/ip6/2001:20::1/tcp/80":                wire.ScopePrivate,
		"/ip6/3fff::1/tcp/80":                   wire.ScopePrivate,
		"/ip6/fec0::1/tcp/80":                   wire.ScopePrivate,
		"/ip6/100::1/tcp/80":                    wire.ScopePrivate,
		"/ip4/192.88.99.1/tcp/80":               wire.ScopePrivate,
		"/ip4/169.254.169.254/tcp/80":           wire.ScopePrivate,
		"/ip4/255.255.255.255/udp/1":            wire.ScopePrivate,
		"/ip6zone/eth0/ip6/2a00:1450::1/tcp/1":  wire.ScopePrivate,
		"/ip6zone/eth0/ip6/::1/tcp/1":           wire.ScopeLoopback,

		// A second place in an address.
		"/ip4/8.8.8.8/tcp/80/ip4/127.0.0.1/tcp/1":                               notUsable,
		"/ip4/8.8.8.8/tcp/80/ip4/8.8.4.4/tcp/1":                                 notUsable,
		"/ip4/8.8.8.8/tcp/80/ip6/::1":                                           notUsable,
		"/ip4/8.8.8.8/tcp/80/ip6zone/lo/ip6/fe80::1":                            notUsable,
		"/ip4/8.8.8.8/tcp/80/dns4/localhost/tcp/1":                              notUsable,
		"/ip4/8.8.8.8/dnsaddr/example.com":                                      notUsable,
		"/dns4/example.com/tcp/1/ip4/10.0.0.1":                                  notUsable,
		"/ip4/8.8.8.8/tcp/1/memory/1":                                           notUsable,
		"/ip4/8.8.8.8/unix/run/x":                                               notUsable,
		"/ip4/10.0.0.0/ipcidr/8":                                                notUsable,
		"/ip4/8.8.8.8/tcp/1/p2p/" + relayID + "/p2p-circuit/ip4/10.0.0.1/tcp/1": notUsable,
		"/ip6zone/a/ip6zone/b/ip6/fe80::1":                                      notUsable,
		"/ip6zone/a/ip4/8.8.8.8":                                                notUsable,
		"/ip6zone/a/dns4/example.com":                                           notUsable,
		"/ip6zone/a":                                                            notUsable,
		"/tcp/1/ip4/8.8.8.8":                                                    notUsable,
		"/ip4/8.8.8.8/tcp/443/tls/sni/localhost/ws":                             wire.ScopePublic, // a name within TLS is not dialled
	} {
		a, err := ma.NewMultiaddr(text)
		require.NoError(t, err, text)
		require.Equal(t, want, scopeOf(a), text)
		require.Equal(t, want, binaryScope(a.Bytes()), text)
	}
}

// A malformed address is not usable, wherever it is malformed.
func TestMalformedAddressesLeadNowhere(t *testing.T) {
	good := hex.EncodeToString(addrBytes(t, "/ip4/8.8.8.8/tcp/80"))
	require.Equal(t, wire.ScopePublic, binaryScope(unhex(t, good)))
	for what, tail := range map[string]string{
		"a second IP cut short":          "047f00",
		"no value":                       "04",
		"a name cut short":               "3609" + hex.EncodeToString([]byte("local")),
		"a name of no bytes":             "3600",
		"a name with a slash":            "3603" + hex.EncodeToString([]byte("a/b")),
		"an unknown protocol":            "ff7f",
		"a code that does not end":       "ffff",
		"a code written too long":        "848000",
		"a peer ID that is no multihash": "a503020102",
		"a zone of no bytes":             "2a00",
		"a unix path without a slash":    "9003026162",
	} {
		require.Equal(t, notUsable, binaryScope(unhex(t, good+tail)), what)
		require.Empty(t, FilterBytes(nil, "", [][]byte{unhex(t, good+tail)}, wire.ScopeLoopback), what)
	}
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// inside are addresses that are not public, as the registries list them: the test's own list.
var inside = func() (list []netip.Prefix) {
	for _, p := range strings.Fields(`0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
		192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3
		::/3 2001::/23 2001:db8::/32 3fff::/20 4000::/2 8000::/1`) {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}()

// leadsInside is a second, simple implementation of the rule for IP addresses.
func leadsInside(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.Is6() {
		b := ip.As16()
		switch h := hex.EncodeToString(b[:]); {
		case strings.HasPrefix(h, "0064ff9b0000000000000000"):
			return leadsInside(netip.AddrFrom4([4]byte(b[12:])))
		case strings.HasPrefix(h, "2002"):
			return leadsInside(netip.AddrFrom4([4]byte(b[2:6])))
		}
	}
	return slices.ContainsFunc(inside, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// Addresses that a peer on a public address may announce are valid and contain no address
// that is not public, neither as an address nor as a name.
func FuzzPublicAddressesLeadOutside(f *testing.F) {
	for text := range scopes {
		f.Add(addrBytes(f, text))
	}
	for _, text := range []string{
		"/ip6/64:ff9b::a00:1/tcp/80", "/ip6/2002:a00:1::1/tcp/80", "/ip6/2001:0:a00:1::1/tcp/80", "/dns4/10.1.2.3/tcp/1",
		"/dns6/64:ff9b::10.0.0.1/tcp/1", "/ip4/8.8.8.8/tcp/80/ip4/127.0.0.1/tcp/1", "/dns4/0x7f.1/tcp/1", "/dns4/router/tcp/1",
	} {
		f.Add(addrBytes(f, text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(FilterBytes(nil, "", [][]byte{b}, wire.ScopePublic)) == 0 {
			return
		}
		a, err := ma.NewMultiaddrBytes(b)
		require.NoError(t, err)
		places := 0
		for _, c := range a {
			switch c.Code() {
			case ma.P_IP4, ma.P_IP6:
				places++
				ip, _ := netip.AddrFromSlice(c.RawValue())
				require.False(t, leadsInside(ip), a)
			case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
				places++
				requirePublicName(t, c.Value())
			case ma.P_IP6ZONE, ma.P_UNIX, ma.P_MEMORY:
				require.Fail(t, "not a public address", a)
			}
		}
		require.Equal(t, 1, places, a)
	})
}

func requirePublicName(t *testing.T, name string) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if ip, err := netip.ParseAddr(name); err == nil {
		require.False(t, ip.Zone() != "" || leadsInside(ip), name)
		return
	}
	labels := strings.Split(name, ".")
	require.Greater(t, len(labels), 1, name)
	for _, l := range labels {
		require.Regexp(t, `^[a-z0-9_-]+$`, l)
	}
	last := labels[len(labels)-1]
	require.NotRegexp(t, `^([0-9]+|0x[0-9a-f]*)$`, last)
	require.NotContains(t, []string{
		"localhost", "localdomain", "local", "lan", "home", "corp", "mail", "internal", "intranet", "private", "arpa", "test",
		"example", "invalid", "onion", "alt",
	}, last)
}
