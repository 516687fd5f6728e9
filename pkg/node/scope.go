package node

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// noteOwnAddrs looks at the addresses that the host announces. If they are public,
// all of them, those who connect to this node come from the internet, and a NAT
// stands in between if they seem to come from a private address: that of a container
// with a published port, rootless or behind a userland proxy, or of a NodePort.
func (n *Node) noteOwnAddrs() {
	addrs := n.host.Addrs()
	inside := func(a ma.Multiaddr) bool { return rpc.ScopeOf(a) != wire.ScopePublic }
	n.natHidden.Store(len(addrs) > 0 && !slices.ContainsFunc(addrs, inside))
}

// scopeOf returns the scope of a connection: that of its remote address, but public
// for one from a private address to a node that announces public ones only.
func (n *Node) scopeOf(c network.Conn) wire.Scope {
	scope := rpc.ScopeOf(c.RemoteMultiaddr())
	if scope == wire.ScopePublic || c.Stat().Direction != network.DirInbound || !n.natHidden.Load() {
		return scope
	}
	n.natTold.Do(func() {
		n.log.Warn("a peer has connected from a private address, though this node announces public addresses only: a NAT hides where peers come from; such peers count as public",
			"address", c.RemoteMultiaddr().String())
	})
	return wire.ScopePublic
}

// allowOwn lets a peer be dialled at the addresses that it has said of itself on a
// connection.
func (n *Node) allowOwn(c network.Conn, addrs []ma.Multiaddr) {
	scope := n.scopeOf(c)
	n.cfg.Gate.Allow(scope, rpc.FilterAddrs(nil, addrs, scope))
}
