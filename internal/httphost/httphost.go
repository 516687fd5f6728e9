package httphost

import (
	"net"
	"net/netip"
	"strings"
)

// Name returns the host of a Host header, without port and brackets.
func Name(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return strings.Trim(header, "[]")
}

// Addr returns the IP address of a Host header; ok is false for a name.
func Addr(header string) (a netip.Addr, ok bool) {
	a, err := netip.ParseAddr(Name(header))
	return a, err == nil
}
