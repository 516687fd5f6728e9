package main_test

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestThreeDaemons runs three daemons with default settings except ports and data
// directories. The others find what one stores, also after it has stopped.
func TestThreeDaemons(t *testing.T) {
	env := []string{"HOLDFAST_METRICS__LISTEN=off"}
	dir := t.TempDir()
	a := start(t, env, filepath.Join(dir, "a"), "--port", "0")
	b := start(t, env, filepath.Join(dir, "b"), "--port", "0", "--bootstrap", a.addr)
	c := start(t, env, filepath.Join(dir, "c"), "--port", "0", "--bootstrap", a.addr)
	for _, p := range []*process{a, b, c} {
		require.Eventually(t, func() bool { return p.verified() == 2 }, patience, 50*time.Millisecond)
	}

	out, code := a.holdfast("id", "--json")
	require.Zero(t, code, out)
	var id struct {
		PublicKey string `json:"public_key"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &id))
	value, err := base64.StdEncoding.DecodeString(id.PublicKey)
	require.NoError(t, err)
	key := "/pk/" + a.id
	a.stdin = value
	out, code = a.holdfast("put", key, "-")
	require.Zero(t, code, out)
	require.Equal(t, "Stored value with key: "+key+" (stored at 2 peers)\n", out)

	out, code = a.holdfast("provide", "some content")
	require.Zero(t, code, out)
	out, code = b.holdfast("find-providers", "some content", "--json")
	require.Zero(t, code, out)
	var provider struct {
		PeerID string   `json:"peer_id"`
		Addrs  []string `json:"addrs"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &provider), "one line: %s", out)
	require.Equal(t, a.id, provider.PeerID)
	require.NotEmpty(t, provider.Addrs)

	out, code = c.holdfast("closest", "anything")
	require.Zero(t, code, out)
	require.Equal(t, 2, strings.Count(out, "12D3Koo")-strings.Count(out, "/p2p/12D3Koo"))
	out, code = b.holdfast("find-peer", c.id)
	require.Zero(t, code, out)
	require.Contains(t, out, "/ip4/127.0.0.1/tcp/")

	a.signal(syscall.SIGKILL)
	out, code = c.holdfast("get", key)
	require.Zero(t, code, out)
	require.Equal(t, string(value), out)
	out, code = b.holdfast("find-providers", "some content")
	require.Zero(t, code, out)
	require.Contains(t, out, a.id)
	out, code = c.holdfast("get", "/pk/"+b.id)
	require.Equal(t, 3, code, out)
	out, code = c.holdfast("put", "plain", "v")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "namespace")
}
