package node

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// noteOwnAddrs checks the addresses that the host announces. If all of them are public,
// peers connect from the internet, and one that seems to come from a private address is
// behind a NAT that hides its address: a container's published port (rootless, or with a
// userland proxy) or a NodePort.
func (n *Node) noteOwnAddrs() {
	addrs := n.host.Addrs()
	inside := func(a ma.Multiaddr) bool { return rpc.ScopeOf(a) != wire.ScopePublic }
	n.natHidden.Store(len(addrs) > 0 && !slices.ContainsFunc(addrs, inside))
}

// scopeOf returns the scope of a connection: that of its remote address, but public for a
// private address if this node announces only public ones, see noteOwnAddrs.
func (n *Node) scopeOf(c network.Conn) wire.Scope {
	scope := rpc.ScopeOf(c.RemoteMultiaddr())
	if scope == wire.ScopePublic || c.Stat().Direction != network.DirInbound || !n.natHidden.Load() {
		return scope
	}
	n.natTold.Do(func() {
		n.log.Warn("a peer has connected from a private address, but this node announces only public ones; a NAT hides the addresses of peers; treating such peers as public",
			"address", c.RemoteMultiaddr().String())
	})
	return wire.ScopePublic
}

// allowOwn allows dials to the addresses that a peer announces for itself on a connection.
func (n *Node) allowOwn(c network.Conn, addrs []ma.Multiaddr) {
	scope := n.scopeOf(c)
	n.cfg.Gate.Allow(scope, rpc.FilterAddrs(nil, addrs, scope))
}
