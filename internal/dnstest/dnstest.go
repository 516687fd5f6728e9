package dnstest

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	madns "github.com/multiformats/go-multiaddr-dns"
	"github.com/stretchr/testify/require"
)

// Names maps a name to its IP address or to the text of its TXT record. A name with neither
// maps to "".
type Names func(name string) string

// Resolver returns a multiaddr resolver that uses names.
func Resolver(t testing.TB, names Names) network.MultiaddrDNSResolver {
	t.Helper()
	r, err := madns.NewResolver(madns.WithDefaultResolver(names))
	require.NoError(t, err)
	return swarm.ResolverFromMaDNS{Resolver: r}
}

var _ madns.BasicResolver = Names(nil)

// LookupIPAddr implements madns.BasicResolver.
func (n Names) LookupIPAddr(_ context.Context, name string) ([]net.IPAddr, error) {
	if ip := net.ParseIP(n(strings.TrimSuffix(name, "."))); ip != nil {
		return []net.IPAddr{{IP: ip}}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// LookupTXT implements madns.BasicResolver.
func (n Names) LookupTXT(_ context.Context, name string) ([]string, error) {
	return []string{n(strings.TrimSuffix(name, "."))}, nil
}
