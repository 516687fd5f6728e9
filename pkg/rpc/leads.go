package rpc

import (
	"net/netip"
	"strings"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// notUsable is the scope of an address that cannot be dialled.
const notUsable = wire.Scope(wire.NumScopes)

// verdict computes the scope of an address from its components, which are added in order. The
// address must begin with a place (an IP address or a name) and must not contain a second
// one, because transports differ in which of them they dial.
type verdict struct {
	scope wire.Scope
	begun bool // at least one component was added
	zone  bool // the last component was an IPv6 zone; the IPv6 address follows
}

func (v *verdict) add(code int, value []byte) {
	switch {
	case !v.begun && code == ma.P_IP6ZONE:
		v.begun, v.zone = true, true
	case v.zone && code == ma.P_IP6:
		v.zone, v.scope = false, max(placeScope(code, value), wire.ScopePrivate) // zones name links of this machine
	case v.zone:
		v.zone, v.scope = false, notUsable
	case !v.begun:
		v.begun, v.scope = true, placeScope(code, value)
	case isPlace(code):
		v.scope = notUsable
	}
}

// result returns the scope of the whole address.
func (v *verdict) result() wire.Scope {
	if !v.begun || v.zone {
		return notUsable
	}
	return v.scope
}

// isPlace reports whether a component determines where an address leads.
func isPlace(code int) bool {
	switch code {
	case ma.P_IP4, ma.P_IP6, ma.P_IP6ZONE, ma.P_IPCIDR, ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR,
		ma.P_MEMORY, ma.P_UNIX, ma.P_ONION, ma.P_ONION3, ma.P_GARLIC32, ma.P_GARLIC64:
		return true
	}
	return false
}

// placeScope returns the scope of the first component of an address.
func placeScope(code int, value []byte) wire.Scope {
	switch code {
	case ma.P_IP4, ma.P_IP6:
		ip, ok := netip.AddrFromSlice(value)
		if !ok {
			return notUsable
		}
		return ipScope(leadsTo(ip))
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
		return nameScope(string(value))
	case ma.P_MEMORY, ma.P_UNIX:
		return wire.ScopeLoopback
	}
	return notUsable
}

// IPv6 prefixes whose addresses contain the IPv4 address to which they lead.
var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixToFour = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

// leadsTo returns the IPv4 address to which an IPv6 address leads, if it contains one,
// otherwise the address itself.
func leadsTo(ip netip.Addr) netip.Addr {
	switch b := ip.As16(); {
	case nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip.Unmap()
}

// globalUnicast6 is the IPv6 range that IANA assigns.
var globalUnicast6 = netip.MustParsePrefix("2000::/3")

// notPublic are ranges that look public but are not routed on the internet (IANA
// special-purpose registries).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared NAT
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays, deprecated (RFC 7526)
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"),     // IETF protocols, including Teredo, whose relays no longer exist
	netip.MustParsePrefix("2001:db8::/32"), // documentation
	netip.MustParsePrefix("3fff::/20"),     // documentation
}

// ipScope returns the scope of an address that leadsTo has returned.
func ipScope(ip netip.Addr) wire.Scope {
	switch {
	case ip.IsUnspecified(), ip.IsMulticast():
		return notUsable
	case ip.IsLoopback():
		return wire.ScopeLoopback
	case ip.IsPrivate(), ip.IsLinkLocalUnicast(), ip.Is6() && !globalUnicast6.Contains(ip):
		return wire.ScopePrivate
	}
	for _, p := range notPublic {
		if p.Contains(ip) {
			return wire.ScopePrivate
		}
	}
	return wire.ScopePublic
}

// lastLabels are the last labels of names that do not exist in the public DNS: RFC 6761, RFC
// 6762 and its appendix G, RFC 7686, RFC 8375, RFC 9476, the ones that ICANN reserves (home,
// corp, mail, internal), and those of the hosts file. No peer has a name under arpa.
var lastLabels = map[string]wire.Scope{
	"localhost": wire.ScopeLoopback, "localhost4": wire.ScopeLoopback, "localhost6": wire.ScopeLoopback,
	"localdomain": wire.ScopeLoopback, "localdomain4": wire.ScopeLoopback, "localdomain6": wire.ScopeLoopback,
	"ip6-localhost": wire.ScopeLoopback, "ip6-loopback": wire.ScopeLoopback,
	"local": wire.ScopePrivate, "lan": wire.ScopePrivate, "home": wire.ScopePrivate, "corp": wire.ScopePrivate,
	"mail": wire.ScopePrivate, "internal": wire.ScopePrivate, "intranet": wire.ScopePrivate,
	"private": wire.ScopePrivate, "arpa": wire.ScopePrivate, "test": wire.ScopePrivate,
	"example": wire.ScopePrivate, "invalid": wire.ScopePrivate, "onion": wire.ScopePrivate, "alt": wire.ScopePrivate,
}

// Bounds of a DNS name and its labels in bytes (RFC 1035).
const (
	maxName  = 253
	maxLabel = 63
)

// nameScope returns the scope of a DNS name: public if it has two labels or more and its last
// label can exist in the public DNS. Where a public name leads is checked when it is resolved
// (see Gate). An IP address written as a name has the scope of that address.
func nameScope(name string) wire.Scope {
	name = strings.TrimSuffix(name, ".")
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Zone() != "" {
			return notUsable
		}
		return ipScope(leadsTo(ip))
	}
	labels := strings.Split(strings.ToLower(name), ".")
	last := labels[len(labels)-1]
	if len(name) > maxName || isNumber(last) || !areLabels(labels) {
		return notUsable
	}
	if s, ok := lastLabels[last]; ok {
		return s
	}
	if len(labels) == 1 {
		return wire.ScopePrivate // completed with the search domains of this machine
	}
	return wire.ScopePublic
}

// isNumber reports whether a resolver may interpret a name with this last label as an IPv4
// address in an old notation: 127.1, 0x7f.1, 017700000001.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// areLabels reports whether all labels are lower-case labels of host names. The underscore is
// allowed, because some names have it.
func areLabels(labels []string) bool {
	for _, l := range labels {
		if l == "" || len(l) > maxLabel || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
