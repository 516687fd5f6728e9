package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
)

func TestListenersOverlap(t *testing.T) {
	const off = config.Off
	for _, c := range []struct {
		name             string
		listen           []string
		metrics, routing string
		key              string // of the violation; "": no violation
	}{
		{"defaults", config.Default().Network.Listen, "127.0.0.1:9474", "127.0.0.1:8474", ""},
		{"the same twice", []string{"/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1"}, off, off, "network.listen"},
		{"any free port twice", []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0"}, "127.0.0.1:0", "127.0.0.1:0", ""},
		{"tcp and quic", []string{"/ip4/0.0.0.0/tcp/1", "/ip4/0.0.0.0/udp/1/quic-v1"}, off, off, ""},
		{"unspecified and specific", []string{"/ip4/0.0.0.0/tcp/1", "/ip4/192.0.2.1/tcp/1"}, off, off, "network.listen"},
		{"specific and unspecified", []string{"/ip4/192.0.2.1/udp/1/quic-v1", "/ip4/0.0.0.0/udp/1/quic-v1"}, off, off, "network.listen"},
		{"specific IPv6 and unspecified", []string{"/ip6/::/tcp/1", "/ip6/2001:db8::1/tcp/1"}, off, off, "network.listen"},
		{"two specific", []string{"/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.2/tcp/1"}, off, off, ""},
		{"both families", []string{"/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1"}, off, off, ""},
		{"IPv4 and all of IPv6", []string{"/ip4/192.0.2.1/tcp/1", "/ip6/::/tcp/1"}, off, off, ""},
		{"metrics and routing", nil, "127.0.0.1:1", "127.0.0.1:1", "routing_api.listen"},
		{"metrics and routing by name", nil, "localhost:1", "127.0.0.1:1", "routing_api.listen"},
		{"metrics on all", nil, ":1", "127.0.0.1:1", "routing_api.listen"},
		{"routing on all IPv4", nil, "[::1]:1", "0.0.0.0:1", "routing_api.listen"},
		{"metrics and routing apart", nil, "127.0.0.1:1", "127.0.0.2:1", ""},
		{"metrics on a port of libp2p", []string{"/ip4/0.0.0.0/tcp/1"}, "127.0.0.1:1", off, "metrics.listen"},
		{"metrics on all, libp2p on IPv4", []string{"/ip4/192.0.2.1/tcp/1"}, "[::]:1", off, "metrics.listen"},
		{"metrics on a port of QUIC", []string{"/ip4/0.0.0.0/udp/1/quic-v1"}, "127.0.0.1:1", off, ""},
	} {
		conf := config.Default()
		conf.Network.Listen, conf.Metrics.Listen, conf.RoutingAPI.Listen = c.listen, c.metrics, c.routing
		found := Check(&conf)
		if c.key == "" {
			require.Empty(t, found, c.name)
			continue
		}
		require.Len(t, found, 1, c.name)
		require.Equal(t, c.key, found[0].Key, c.name)
		require.Contains(t, found[0].What, "overlaps with", c.name)
	}
}

// A listener whose address cannot be decoded does not overlap: its default is not what the user
// wrote.
func TestListenersThatCannotBeDecoded(t *testing.T) {
	for text, overlaps := range map[string]bool{
		"[metrics]\nlisten = 9474\n[routing_api]\nlisten = \"127.0.0.1:9474\"\n": false,
		"[network]\nport = \"5000\"\n[metrics]\nlisten = \"127.0.0.1:4011\"\n":   false,
		"[limits]\nmemory = \"x\"\n[routing_api]\nlisten = \"127.0.0.1:9474\"\n": true,
	} {
		file := filepath.Join(t.TempDir(), "config.toml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		l, err := config.Load(config.Sources{File: file})
		require.ErrorIs(t, err, config.ErrFile, text)
		require.Equal(t, overlaps, l.WithOrigins(Check(&l.Config)) != nil, text)
	}
}

// An address that no transport of the node supports is rejected. libp2p would drop it and
// listen on the rest.
func TestListenAddressesNobodyServes(t *testing.T) {
	for _, text := range []string{
		"/ip4/127.0.0.1/tcp/0/ws", "/ip4/127.0.0.1/tcp/0/tls/ws", "/ip4/127.0.0.1/tcp/0/wss", "/ip4/127.0.0.1/tcp/0/http",
		"/ip4/127.0.0.1/udp/0/quic-v1/webtransport", "/ip4/127.0.0.1/udp/0/webrtc-direct", "/ip4/127.0.0.1/udp/0",
		"/ip4/127.0.0.1/udp/0/quic", "/dns4/localhost/tcp/0", "/ip4/127.0.0.1", "/ip4/127.0.0.1/tcp/0/p2p-circuit",
		"/ip4/127.0.0.1/tcp/0/quic-v1",
		"/ip4/127.0.0.1/tcp/0/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp",
	} {
		c := config.Default()
		c.Network.Listen = []string{"/ip4/127.0.0.1/tcp/0", text}
		found := Check(&c)
		require.Len(t, found, 1, text)
		require.Contains(t, found[0].What, text)
	}
	for _, text := range []string{"/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1", "/ip6/::/udp/4011/quic-v1"} {
		require.Nil(t, checkListen(text))
	}
}
