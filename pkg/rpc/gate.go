package rpc

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// maxAllowed bounds the addresses that a Gate permits in addition to public ones: four for
// each of 8,192 peers, at about 150 bytes each. A node in the public network only has those
// of its bootstrap peers.
const maxAllowed = 32 << 10

// Gate is the connection gater and the resolver of the host of a node. It lets the host dial
// public addresses. Other addresses, whether a name resolves to them or libp2p learned them
// by itself, can only be dialled if a source that may announce such an address has announced
// it (Allow): a peer in a private network, or the operator. So a peer on a public address
// cannot make the node dial into a private network.
//
// It only restricts dials. Pass it to the host in both options,
//
//	libp2p.New(libp2p.ConnectionGater(gate), libp2p.MultiaddrResolver(gate), ...)
//
// and to the node in node.Config.Gate. Without the second option, names that resolve to
// private addresses are never dialled. Safe for concurrent use. A nil Gate must not be passed
// to the host; its Allow does nothing.
type Gate struct {
	resolver network.MultiaddrDNSResolver

	mu      sync.Mutex
	allowed *lru[string, wire.Scope] // by placeKey: the widest scope of the peers that announced it
}

var (
	_ connmgr.ConnectionGater      = (*Gate)(nil)
	_ network.MultiaddrDNSResolver = (*Gate)(nil)
)

// NewGate returns a gate that resolves names with resolver. Nil: libp2p's own resolver.
func NewGate(resolver network.MultiaddrDNSResolver) *Gate {
	if resolver == nil {
		resolver = swarm.ResolverFromMaDNS{Resolver: madns.DefaultResolver}
	}
	return &Gate{resolver: resolver, allowed: newLRU[string, wire.Scope](maxAllowed)}
}

// Allow permits dials to addresses, and to what they resolve to, as far as a source of the
// given scope may announce them. wire.ScopeLoopback is the operator.
func (g *Gate) Allow(scope wire.Scope, addrs []ma.Multiaddr) {
	if g == nil || scope == wire.ScopePublic {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range addrs {
		if scopeOf(a) == wire.ScopePublic && !isName(a) {
			continue
		}
		key := placeKey(a)
		old, _ := g.allowed.load(key)
		g.allowed.store(key, max(old, scope))
	}
}

// placeKey returns the host and port of an address. Without a port, it returns the part
// before a peer ID.
func placeKey(a ma.Multiaddr) string {
	for i := range a {
		switch a[i].Code() {
		case ma.P_TCP, ma.P_UDP:
			return string(a[:i+1].Bytes())
		case ma.P_P2P:
			return string(a[:i].Bytes())
		}
	}
	return string(a.Bytes())
}

// scope returns the widest scope in which a may be dialled.
func (g *Gate) scope(a ma.Multiaddr) wire.Scope {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, _ := g.allowed.load(placeKey(a)) // otherwise the zero value, public
	return s
}

// InterceptAddrDial implements connmgr.ConnectionGater. A name that reaches it is one that a
// transport resolves by itself, so the gate cannot check the result.
func (g *Gate) InterceptAddrDial(_ peer.ID, a ma.Multiaddr) bool {
	s := scopeOf(a)
	if isName(a) {
		s = max(s, wire.ScopePrivate)
	}
	return s == wire.ScopePublic || s <= g.scope(a)
}

// isName reports whether a begins with a DNS name.
func isName(a ma.Multiaddr) bool {
	if len(a) == 0 {
		return false
	}
	switch a[0].Code() {
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
		return true
	}
	return false
}

// ResolveDNSAddr implements network.MultiaddrDNSResolver.
func (g *Gate) ResolveDNSAddr(ctx context.Context, id peer.ID, a ma.Multiaddr, depth, limit int) ([]ma.Multiaddr, error) {
	found, err := g.resolver.ResolveDNSAddr(ctx, id, a, depth, limit)
	g.Allow(g.scope(a), found)
	return found, err
}

// ResolveDNSComponent implements network.MultiaddrDNSResolver.
func (g *Gate) ResolveDNSComponent(ctx context.Context, a ma.Multiaddr, limit int) ([]ma.Multiaddr, error) {
	found, err := g.resolver.ResolveDNSComponent(ctx, a, limit)
	g.Allow(g.scope(a), found)
	return found, err
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *Gate) InterceptPeerDial(peer.ID) bool { return true }

// InterceptAccept implements connmgr.ConnectionGater.
func (g *Gate) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured implements connmgr.ConnectionGater.
func (g *Gate) InterceptSecured(network.Direction, peer.ID, network.ConnMultiaddrs) bool { return true }

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *Gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
