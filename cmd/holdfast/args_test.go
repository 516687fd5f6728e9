package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExpandBootstrap(t *testing.T) {
	const a, b, c = "/ip4/1.2.3.4/tcp/1/p2p/QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB", "/dns4/example.org/tcp/2", "/ip6/::1/udp/3/quic-v1"
	for in, want := range map[string]string{
		"demo --bootstrap A B C":                  "demo --bootstrap A --bootstrap B --bootstrap C",
		"demo --bootstrap A --bootstrap B":        "demo --bootstrap A --bootstrap B",
		"demo --bootstrap=A B --mode client":      "demo --bootstrap=A --bootstrap B --mode client",
		"demo --bootstrap --mode client":          "demo --mode client",
		"demo --bootstrap":                        "demo",
		"get --bootstrap A /pk/x":                 "get --bootstrap A /pk/x",
		"get --bootstrap A B /ipns/x --json":      "get --bootstrap A --bootstrap B /ipns/x --json",
		"get --bootstrap A key":                   "get --bootstrap A key",
		"ping --bootstrap A -- B":                 "ping --bootstrap A -- B",
		"ping -- --bootstrap A B":                 "ping -- --bootstrap A B",
		"serve --bootstrap nonsense A":            "serve --bootstrap nonsense --bootstrap A",
		"get --bootstrap A /ipfs/bafy --quorum 1": "get --bootstrap A /ipfs/bafy --quorum 1",
	} {
		r := strings.NewReplacer("A", a, "B", b, "C", c)
		require.Equal(t, strings.Fields(r.Replace(want)), expandBootstrap(strings.Fields(r.Replace(in))), in)
	}
}
