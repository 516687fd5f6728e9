package rpc

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	asnutil "github.com/libp2p/go-libp2p-asn-util"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// maxAddrs bounds the addresses of one peer that pass FilterAddrs: more than any
// honest peer needs to be reached.
const maxAddrs = 16

// notUsable stands for the scope of an address that nobody can dial.
const notUsable = wire.Scope(wire.NumScopes)

// ScopeOf returns the scope of a connection from the address of its remote end.
// A relayed connection has the scope of its relay. A remote without an IP address
// is judged public, the narrowest.
func ScopeOf(remote ma.Multiaddr) wire.Scope {
	if s := scopeOf(remote); s != notUsable {
		return s
	}
	return wire.ScopePublic
}

// scopeOf judges an address by its first component that says where it leads.
func scopeOf(a ma.Multiaddr) wire.Scope {
	for i := range a {
		c := &a[i]
		if s, ok := componentScope(c.Code(), c.RawValue()); ok {
			return s
		}
	}
	return notUsable
}

// componentScope returns the scope of an address that begins with the given
// component; false if the next one must tell.
func componentScope(code int, value []byte) (wire.Scope, bool) {
	switch code {
	case ma.P_IP4, ma.P_IP6:
		ip, ok := netip.AddrFromSlice(value)
		if !ok {
			return notUsable, true
		}
		return ipScope(ip.Unmap()), true
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
		return nameScope(string(value)), true
	case ma.P_IP6ZONE:
		return 0, false
	case ma.P_MEMORY, ma.P_UNIX:
		return wire.ScopeLoopback, true
	}
	return notUsable, true
}

// globalUnicast6 is what IANA gives out of IPv6; nat64 leads to public IPv4 (RFC 6052).
var (
	globalUnicast6 = netip.MustParsePrefix("2000::/3")
	nat64          = netip.MustParsePrefix("64:ff9b::/96")
)

// notPublic are ranges that look public but are not routed on the internet
// (IANA special-purpose registries): shared NAT, documentation, benchmarks.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001:db8::/32"),
}

func ipScope(ip netip.Addr) wire.Scope {
	switch {
	case ip.IsUnspecified(), ip.IsMulticast():
		return notUsable
	case ip.IsLoopback():
		return wire.ScopeLoopback
	case ip.IsPrivate(), ip.IsLinkLocalUnicast():
		return wire.ScopePrivate
	case ip.Is6() && !globalUnicast6.Contains(ip) && !nat64.Contains(ip):
		return wire.ScopePrivate
	}
	for _, p := range notPublic {
		if p.Contains(ip) {
			return wire.ScopePrivate
		}
	}
	return wire.ScopePublic
}

// nameScope judges a DNS name: public, but for the special-use names of RFC 6761,
// 6762 and 8375.
func nameScope(name string) wire.Scope {
	name = strings.TrimSuffix(name, ".")
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "localhost":
		return wire.ScopeLoopback
	case "local", "test", "internal":
		return wire.ScopePrivate
	case "":
		return notUsable
	}
	if strings.HasSuffix(name, ".home.arpa") {
		return wire.ScopePrivate
	}
	return wire.ScopePublic
}

// binaryScope is scopeOf for a binary multiaddr. It walks the components without
// allocating; notUsable if they are not well formed.
func binaryScope(b []byte) wire.Scope {
	scope, known := notUsable, false
	if len(b) > wire.MaxAddrLen {
		return notUsable
	}
	for len(b) > 0 {
		code, value, rest, ok := nextComponent(b)
		if !ok {
			return notUsable
		}
		if !known {
			scope, known = componentScope(code, value)
		}
		b = rest
	}
	return scope
}

// nextComponent splits the first component off a binary multiaddr.
func nextComponent(b []byte) (code int, value, rest []byte, ok bool) {
	c, n := binary.Uvarint(b)
	if n <= 0 || c > 1<<31-1 {
		return 0, nil, nil, false
	}
	b = b[n:]
	var size uint64
	switch s := ma.ProtocolWithCode(int(c)); {
	case s.Code == 0:
		return 0, nil, nil, false // unknown: its size is too
	case s.Size == ma.LengthPrefixedVarSize:
		if size, n = binary.Uvarint(b); n <= 0 {
			return 0, nil, nil, false
		}
		b = b[n:]
	default:
		size = uint64(s.Size) / 8 // in bits
	}
	if size > uint64(len(b)) {
		return 0, nil, nil, false
	}
	return int(c), b[:size], b[size:], true
}

// FilterAddrs appends to dst the addresses that a peer on a connection of the
// given scope may tell or be told: at most 16, each parsable and of at most
// wire.MaxAddrLen bytes. dst may be addrs[:0].
func FilterAddrs(dst, addrs []ma.Multiaddr, scope wire.Scope) []ma.Multiaddr {
	n := 0
	for _, a := range addrs {
		if n == maxAddrs {
			break
		}
		if s := scopeOf(a); s > scope || s == notUsable || len(a.Bytes()) > wire.MaxAddrLen {
			continue
		}
		dst = append(dst, a)
		n++
	}
	return dst
}

// filterMessage removes, in place, the addresses that do not fit scope. How many of
// the others are used is for the one who gets the message to say.
func filterMessage(m *wire.Message, scope wire.Scope) {
	for _, peers := range [...][]wire.Peer{m.CloserPeers, m.ProviderPeers} {
		for i := range peers {
			peers[i].Addrs = InScope(peers[i].Addrs[:0], peers[i].ID, peers[i].Addrs, scope)
		}
	}
}

// GroupOf returns the IP group of a connection's remote address for the
// diversity limits of the table: the /16 of IPv4, the autonomous system of IPv6,
// or its /32 where that is not known. Private and loopback addresses, and those
// without an IP, are exempt: "".
func GroupOf(remote ma.Multiaddr) string {
	for i := range remote {
		c := &remote[i]
		if c.Code() == ma.P_IP6ZONE {
			continue
		}
		ip, ok := netip.AddrFromSlice(c.RawValue())
		if !ok || c.Code() != ma.P_IP4 && c.Code() != ma.P_IP6 {
			return ""
		}
		return ipGroup(ip.Unmap())
	}
	return ""
}

func ipGroup(ip netip.Addr) string {
	if ipScope(ip) != wire.ScopePublic {
		return ""
	}
	bits := 16
	if ip.Is6() {
		b := ip.As16()
		if asn := asnutil.AsnForIPv6Network(binary.BigEndian.Uint64(b[:8])); asn != 0 {
			return "AS" + strconv.FormatUint(uint64(asn), 10)
		}
		bits = 32
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
