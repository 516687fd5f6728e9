package rpc

import ma "github.com/multiformats/go-multiaddr"

// Multiaddrs parses binary multiaddrs and skips invalid ones. The result does not alias them.
func Multiaddrs(addrs [][]byte) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, b := range addrs {
		if a, err := ma.NewMultiaddrBytes(append([]byte(nil), b...)); err == nil && len(a) > 0 {
			out = append(out, a)
		}
	}
	return out
}
