package daemon

import (
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// A TCP connection uses the dialler's first choice of security: Noise, unless the
// configuration says otherwise. This holds for the daemon and for the command line's own
// node.
func TestSecurityOrder(t *testing.T) {
	server := start(t, t.TempDir())
	var over []string // TCP
	for _, a := range server.Addrs() {
		if strings.Contains(a, "/tcp/") {
			over = append(over, a)
		}
	}
	require.NotEmpty(t, over)
	for _, c := range []struct {
		name     string
		settings []config.Setting
		want     protocol.ID
	}{
		{"default", nil, noise.ID},
		{"tls first", []config.Setting{{Key: "network.security", List: []string{"tls", "noise"}}}, tls.ID},
		{"tls only", []config.Setting{{Key: "network.security", List: []string{"tls"}}}, tls.ID},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings := append(c.settings, config.Setting{Key: "network.bootstrap", List: over})
			d := start(t, t.TempDir(), settings...)
			require.NoError(t, d.WaitForPeer(t.Context()))
			require.Equal(t, c.want, securityOf(t, d.host, server.host))
			client, err := StartClient(t.Context(), d.config, over, d.options.Logs)
			require.NoError(t, err)
			defer func() { require.NoError(t, client.Close()) }()
			require.Equal(t, c.want, securityOf(t, client.host, server.host))
		})
	}
}

// securityOf returns the security protocol of the connection between two hosts.
func securityOf(t *testing.T, from, to host.Host) protocol.ID {
	t.Helper()
	conns := from.Network().ConnsToPeer(to.ID())
	require.NotEmpty(t, conns)
	return conns[0].ConnState().Security
}
