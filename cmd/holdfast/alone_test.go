package main_test

import (
	"encoding/json"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAlone cuts a daemon off from its only peer. Commands that store say that the daemon
// keeps the record; commands that look up do not report "not found".
func TestAlone(t *testing.T) {
	env := []string{"HOLDFAST_METRICS__LISTEN=off", "HOLDFAST_VALUES__UNVALIDATED_NAMESPACES=example"}
	dir := t.TempDir()
	a := start(t, env, filepath.Join(dir, "a"), "--port", "0")
	b := start(t, env, filepath.Join(dir, "b"), "--port", "0", "--bootstrap", a.addr)
	require.Eventually(t, func() bool { return a.verified() == 1 }, patience, 50*time.Millisecond)
	b.signal(syscall.SIGKILL)
	asks := [][]string{{"get", "/example/absent"}, {"find-providers", "absent"}, {"find-peer", b.id}, {"closest", "absent"}}
	for _, ask := range asks {
		out, code := a.holdfast(ask...)
		require.Equal(t, 1, code, "%s: %s", ask, out)
		require.Regexp(t, "no peer (has answered|could be asked)", out, "%s", ask)
	}
	require.Eventually(t, func() bool { return a.verified() == 0 }, patience, 50*time.Millisecond)
	for _, ask := range asks {
		out, code := a.holdfast(ask...)
		require.Equal(t, 1, code, "%s: %s", ask, out)
		require.Equal(t, "holdfast: no peer could be asked: the routing table has 1 peer, and none answers; check this machine's connection to the network\n", out, "%s", ask)
	}
	for _, publish := range [][]string{{"put", "/example/k", "v"}, {"provide", "content"}} {
		out, code := a.holdfast(publish...)
		require.Zero(t, code, out)
		require.Contains(t, out, "(kept here, not published yet: no peer answered; the node tries again)", "%s", publish)
		out, code = a.holdfast(append(publish, "--json")...)
		require.Zero(t, code, out)
		var stored struct {
			StoredAt *int `json:"stored_at"`
		}
		require.NoError(t, json.Unmarshal([]byte(out), &stored))
		require.NotNil(t, stored.StoredAt)
		require.Zero(t, *stored.StoredAt)
	}
	out, code := a.holdfast("get", "/example/k")
	require.Zero(t, code, out)
	require.Equal(t, "v", out)
}
