package rpc

import (
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// WirePeer returns the wire entry of a peer with those of its addresses that fit
// scope.
func WirePeer(ai peer.AddrInfo, scope wire.Scope, c wire.Connection) wire.Peer {
	p := wire.Peer{ID: kad.PeerID(ai.ID), Connection: c}
	for _, a := range FilterAddrs(nil, ai.Addrs, scope) {
		p.Addrs = append(p.Addrs, a.Bytes())
	}
	return p
}

// AddrInfo returns the peer of a wire entry. Addresses that do not parse are left
// out; nothing of the result aliases p. It fails if the ID is none.
func AddrInfo(p *wire.Peer) (peer.AddrInfo, error) {
	id, err := peer.IDFromBytes([]byte(p.ID))
	if err != nil {
		return peer.AddrInfo{}, err
	}
	return peer.AddrInfo{ID: id, Addrs: Multiaddrs(p.Addrs)}, nil
}

// Multiaddrs parses binary multiaddrs and leaves out what does not parse. The
// result does not alias them.
func Multiaddrs(addrs [][]byte) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, b := range addrs {
		if a, err := ma.NewMultiaddrBytes(append([]byte(nil), b...)); err == nil && len(a) > 0 {
			out = append(out, a)
		}
	}
	return out
}
