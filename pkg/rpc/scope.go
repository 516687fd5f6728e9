package rpc

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	asnutil "github.com/libp2p/go-libp2p-asn-util"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// maxAddrs bounds the addresses of one peer that pass FilterAddrs. An honest peer does not
// need more to be reached.
const maxAddrs = 16

// ScopeOf returns the scope of a connection, based on its remote address. A relayed
// connection has the scope of its relay. Without a usable IP address the scope is public, the
// narrowest.
func ScopeOf(remote ma.Multiaddr) wire.Scope {
	if s := scopeOf(remote); s != notUsable {
		return s
	}
	return wire.ScopePublic
}

// scopeOf returns the scope of an address.
func scopeOf(a ma.Multiaddr) wire.Scope {
	var v verdict
	for i := range a {
		v.add(a[i].Code(), a[i].RawValue())
	}
	return v.result()
}

// binaryScope is scopeOf for a binary multiaddr. It returns notUsable if any component is
// malformed.
func binaryScope(b []byte) wire.Scope {
	if len(b) > wire.MaxAddrLen {
		return notUsable
	}
	var v verdict
	for len(b) > 0 {
		code, value, rest, ok := nextComponent(b)
		if !ok {
			return notUsable
		}
		v.add(code, value)
		b = rest
	}
	return v.result()
}

// nextComponent splits the first component off a binary multiaddr.
func nextComponent(b []byte) (code int, value, rest []byte, ok bool) {
	code, n, err := ma.ReadVarintCode(b)
	if err != nil {
		return 0, nil, nil, false
	}
	b = b[n:]
	p := ma.ProtocolWithCode(code)
	size := p.Size / 8 // p.Size is in bits
	switch {
	case p.Code == 0:
		return 0, nil, nil, false // unknown, so its size is unknown too
	case p.Size == 0:
		return code, nil, b, true
	case p.Size == ma.LengthPrefixedVarSize:
		if size, n, err = ma.ReadVarintCode(b); err != nil {
			return 0, nil, nil, false
		}
		b = b[n:]
	}
	if size <= 0 || size > len(b) || p.Transcoder != nil && p.Transcoder.ValidateBytes(b[:size]) != nil {
		return 0, nil, nil, false
	}
	return code, b[:size], b[size:], true
}

// FilterAddrs appends to dst the addresses that may be exchanged with a peer on a connection
// of the given scope: at most 16, each valid and with at most wire.MaxAddrLen bytes. dst may
// be addrs[:0].
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

// filterMessage removes, in place, the addresses outside scope. The receiver of the message
// decides how many of the others it uses.
func filterMessage(m *wire.Message, scope wire.Scope) {
	for _, peers := range [...][]wire.Peer{m.CloserPeers, m.ProviderPeers} {
		for i := range peers {
			peers[i].Addrs = InScope(peers[i].Addrs[:0], peers[i].ID, peers[i].Addrs, scope)
		}
	}
}

// GroupOf returns the IP group of a connection's remote address for the diversity limits of
// the routing table: the /16 of an IPv4 address, or the autonomous system of an IPv6 address,
// or its /32 if the system is unknown. It returns "" (no limit) for connections whose scope
// is not public and for addresses without an IP.
func GroupOf(remote ma.Multiaddr, scope wire.Scope) string {
	if scope != wire.ScopePublic {
		return ""
	}
	for i := range remote {
		c := &remote[i]
		if c.Code() == ma.P_IP6ZONE {
			continue
		}
		ip, ok := netip.AddrFromSlice(c.RawValue())
		if !ok || c.Code() != ma.P_IP4 && c.Code() != ma.P_IP6 {
			return ""
		}
		return ipGroup(leadsTo(ip))
	}
	return ""
}

func ipGroup(ip netip.Addr) string {
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
