package daemon

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/config"
)

// deadPeer is a bootstrap peer at which nothing listens.
const deadPeer = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"

// A node that reaches no bootstrap peer is not ready, and every interface says why, until a
// peer answers.
func TestNoPeersIsTold(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir, config.Setting{Key: "network.bootstrap", List: []string{deadPeer}})
	_, _, err := d.Bootstrapped(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	const why = "NO PEERS: no bootstrap peer could be reached (1 peer tried)"

	code, text := fetch(t, "http://"+d.web.addr+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, why+"\n", text)
	code, _ = fetch(t, "http://"+d.web.addr+"/healthz")
	require.Equal(t, http.StatusOK, code, "a restart would not help")
	c := api.NewClient(filepath.Join(dir, socketName))
	defer c.Close()
	h, err := c.Health(t.Context())
	require.NoError(t, err)
	require.Equal(t, api.Health{Healthy: true, NotReady: why}, h)
	s, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, stateJoining, s.State)
	require.Equal(t, "NO PEERS", s.Verdict.Word)
	require.Equal(t, "critical", s.Verdict.Level)
	require.Contains(t, s.Verdict.Runbook, "runbooks.md#")
	require.Contains(t, d.doing(), why+"; peer ")

	start(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: d.Addrs()})
	require.Eventually(t, func() bool { return d.Ready(t.Context()) == nil }, 30*time.Second, 10*time.Millisecond)
	s, err = c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, stateReady, s.State)
}

// The first node of a network, and a node without bootstrap peers, are ready without peers.
func TestReadyWithoutPeers(t *testing.T) {
	first := start(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: []string{deadPeer}}, config.Setting{Key: "network.bootstrap_role", Value: config.RoleFirst})
	_, _, err := first.Bootstrapped(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	for _, d := range []*Daemon{first, start(t, t.TempDir())} {
		require.Eventually(t, func() bool { return d.Ready(t.Context()) == nil }, 10*time.Second, 10*time.Millisecond)
		code, text := fetch(t, "http://"+d.web.addr+"/readyz")
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, "ok\n", text, "nothing is wrong")
		require.Contains(t, d.doing(), "Waiting for peers: ")
	}
}

// A full disk does not make a node unready. Every interface says it.
func TestFullDiskIsTold(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	d := start(t, dir)
	require.Eventually(t, func() bool { return d.Ready(t.Context()) == nil }, 10*time.Second, 10*time.Millisecond)
	const why = `DISK FULL since \S+Z: new records may be refused and publishing may fail`
	c := api.NewClient(filepath.Join(dir, socketName))
	defer c.Close()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		full := time.Now()
		d.disk.since.Store(&full) // until the watch finds that the disk of the test has space
		code, text := fetch(t, "http://"+d.web.addr+"/readyz")
		require.Equal(t, http.StatusOK, code)
		require.Regexp(t, "^ok\n"+why+".*\n$", text)
		require.Regexp(t, "^"+why+".*; peer ", d.doing())
		h, err := c.Health(ctx)
		require.NoError(t, err)
		require.True(t, h.Ready)
		require.Len(t, h.Warnings, 1)
		require.Regexp(t, why, h.Warnings[0])
		s, err := c.Status(ctx)
		require.NoError(t, err)
		require.Equal(t, "DISK FULL", s.Verdict.Word)
	}, 10*time.Second, 10*time.Millisecond)
}
