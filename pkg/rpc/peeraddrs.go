package rpc

import (
	"bytes"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// FilterBytes appends to dst the addresses of peer id that may be exchanged with a peer on a
// connection of the given scope: at most 16. Each of them is well formed, has at most
// wire.MaxAddrLen bytes, occurs once, and does not end in /p2p/<id>. Addresses that end in
// the ID of another peer are dropped. The bytes are not copied. dst may be addrs[:0].
func FilterBytes(dst [][]byte, id kad.PeerID, addrs [][]byte, scope wire.Scope) [][]byte {
	return filterMost(dst, id, addrs, scope, maxAddrs)
}

// InScope is FilterBytes with a limit of wire.MaxPeerAddrs, for addresses that are bounded
// elsewhere.
func InScope(dst [][]byte, id kad.PeerID, addrs [][]byte, scope wire.Scope) [][]byte {
	return filterMost(dst, id, addrs, scope, wire.MaxPeerAddrs)
}

func filterMost(dst [][]byte, id kad.PeerID, addrs [][]byte, scope wire.Scope, most int) [][]byte {
	first := len(dst)
	for _, a := range addrs {
		if len(dst)-first == most {
			break
		}
		if s := binaryScope(a); s > scope || s == notUsable {
			continue
		}
		if a = withoutID(a, id); len(a) > 0 && !hasAddr(dst[first:], a) {
			dst = append(dst, a)
		}
	}
	return dst
}

func hasAddr(addrs [][]byte, a []byte) bool {
	for _, b := range addrs {
		if bytes.Equal(a, b) {
			return true
		}
	}
	return false
}

// withoutID removes /p2p/<id> from the end of a well-formed address. It returns nil if the
// address ends in the ID of another peer. The ID of a relay is not at the end.
func withoutID(a []byte, id kad.PeerID) []byte {
	for {
		end, code, value := lastComponent(a)
		if code != ma.P_P2P {
			return a
		}
		if string(value) != string(id) {
			return nil
		}
		a = a[:end]
	}
}

// lastComponent returns the last component of a well-formed address and its offset.
func lastComponent(a []byte) (at, code int, value []byte) {
	for rest := a; len(rest) > 0; {
		at = len(a) - len(rest)
		var ok bool
		if code, value, rest, ok = nextComponent(rest); !ok {
			return 0, 0, nil
		}
	}
	return at, code, value
}
