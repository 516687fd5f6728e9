package daemon

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/dht"
)

// TestIsolationIsTold removes a daemon's only peer. Every interface reports isolation,
// and stops doing so once another peer has connected.
func TestIsolationIsTold(t *testing.T) {
	dir := t.TempDir()
	o, logs := options(t, dir)
	d, err := Start(o)
	require.NoError(t, err)
	defer d.Close()
	other := start(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: d.Addrs()})
	soon := func(ok func() bool, of string) {
		require.Eventually(t, ok, 30*time.Second+dht.IsolatedAfter, 10*time.Millisecond, "%s\n%s", of, logs)
	}
	soon(func() bool { return d.node.Status().VerifiedPeers == 1 }, "a peer")
	require.NoError(t, d.Ready(t.Context()))

	require.NoError(t, other.Close())
	soon(func() bool {
		code, _ := fetch(t, "http://"+d.web.addr+"/readyz")
		return code == http.StatusServiceUnavailable
	}, "readyz")
	_, why := fetch(t, "http://"+d.web.addr+"/readyz")
	require.Regexp(t, `^ISOLATED since \S+Z \(\d+s\): no peer answers \(\d+ peers? in the routing table\); the node tries again every 5s\n$`, why)
	code, _ := fetch(t, "http://"+d.web.addr+"/healthz")
	require.Equal(t, http.StatusOK, code, "a restart would not help")
	c := api.NewClient(filepath.Join(dir, socketName))
	defer c.Close()
	s, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, stateIsolated, s.State)
	require.WithinDuration(t, time.Now(), s.IsolatedSince, time.Minute)
	_, page := fetch(t, "http://"+d.web.addr+"/status.json")
	require.Contains(t, page, `"state":"isolated"`)
	require.Contains(t, page, `"isolated_since":"`)
	require.Regexp(t, `"verdict":{"level":"critical","word":"ISOLATED","why":"no peer has answered for \d+ s \(\d+ peers? in the routing table\)","since":"[^"]+","runbook":"https://[^"]+/docs/runbooks.md#holdfastisolated","causes":\[{"level":"critical","word":"ISOLATED",`, page)
	_, text := fetch(t, "http://"+d.web.addr+"/metrics")
	require.Contains(t, text, "holdfast_state{state=\"isolated\"} 1\n")
	require.Contains(t, text, "holdfast_state{state=\"server\"} 0\n")
	require.Regexp(t, `^ISOLATED since \S+Z: no peer has answered for \d+ s \(\d+ peers? in the routing table\); peer `, d.doing())
	soon(func() bool { return strings.Contains(logs.String(), "level=WARN msg=\"isolated: no peer answers") }, "a warning")

	start(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: d.Addrs()})
	soon(func() bool { return d.Ready(t.Context()) == nil }, "ready again")
	s, err = c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, stateReady, s.State)
	require.Zero(t, s.IsolatedSince)
	require.NotContains(t, d.doing(), "ISOLATED")
	soon(func() bool {
		_, page = fetch(t, "http://"+d.web.addr+"/status.json")
		return !strings.Contains(page, "ISOLATED")
	}, "the verdict")
	soon(func() bool { return strings.Contains(logs.String(), "level=INFO msg=\"no longer isolated") }, "a line")
	require.Equal(t, 1, strings.Count(logs.String(), "isolated: no peer answers"))
}

func TestFirstRoleReachesTheNode(t *testing.T) {
	o, _ := options(t, t.TempDir())
	for role, first := range map[string]bool{config.RoleMember: false, config.RoleFirst: true} {
		c := config.Default()
		c.Network.BootstrapRole = role
		require.Equal(t, first, nodeConfig(&c, nil, o.Logs).First, role)
	}
}

func TestBlackHolesForget(t *testing.T) {
	b := newBlackHoles()
	for range 100 {
		b.udp.RecordResult(false)
		b.ipv6.RecordResult(false)
	}
	require.Equal(t, "Blocked", b.udp.State().String())
	require.Equal(t, "Blocked", b.ipv6.State().String())
	b.forget()
	require.Equal(t, "Probing", b.udp.State().String())
	require.Equal(t, "Probing", b.ipv6.State().String())
}
