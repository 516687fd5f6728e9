package httphost

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHost(t *testing.T) {
	for _, c := range []struct{ header, name, addr string }{
		{"192.0.2.1", "192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:9474", "192.0.2.1", "192.0.2.1"},
		{"[::1]:9474", "::1", "::1"},
		{"[::1]", "::1", "::1"},
		{"::1", "::1", "::1"},
		{"[fe80::1%eth0]:9474", "fe80::1%eth0", "fe80::1%eth0"},
		{"localhost:9474", "localhost", ""},
		{"evil.example", "evil.example", ""},
		{"192.0.2.1.evil.example:80", "192.0.2.1.evil.example", ""},
		{"0x7f.1", "0x7f.1", ""}, // browsers send this name as 127.0.0.1
		{":80", "", ""},
		{"", "", ""},
	} {
		require.Equal(t, c.name, Name(c.header), c.header)
		a, ok := Addr(c.header)
		require.Equal(t, c.addr != "", ok, c.header)
		if ok {
			require.Equal(t, netip.MustParseAddr(c.addr), a, c.header)
		}
	}
}
