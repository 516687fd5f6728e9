package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/storage"
)

// A node that has run in another network does not start, and the cure in the error works:
// with its database moved away it starts in the new network, with the same identity.
func TestChangeOfTheNetwork(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	id := d.ID()
	require.NoError(t, d.Close())

	mynet := config.Setting{Key: "network.protocol_prefix", Value: "/mynet"}
	o, _ := options(t, dir, mynet)
	_, err := Start(o)
	require.ErrorIs(t, err, storage.ErrNetwork)
	require.ErrorContains(t, err, `belongs to network "/test", not "/mynet"; use network.protocol_prefix of that network, or another --data-dir for this one; `+
		"if the name in the file is damaged, restore a backup (holdfast restore --force FILE), or move *.db out of "+dir+": a node that has published nothing loses nothing")

	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	require.NoError(t, err)
	require.Len(t, files, 3)
	other := t.TempDir()
	for _, path := range files {
		require.NoError(t, os.Rename(path, filepath.Join(other, filepath.Base(path))))
	}
	require.Equal(t, id, start(t, dir, mynet).ID())
}

// The alert on a low routing table asks the metric whether the node may be alone.
func TestFirstNodeIsAMetric(t *testing.T) {
	require.Zero(t, metric(t, start(t, t.TempDir()), "holdfast_bootstrap_first"))
	first := start(t, t.TempDir(), config.Setting{Key: "network.bootstrap_role", Value: config.RoleFirst})
	require.EqualValues(t, 1, metric(t, first, "holdfast_bootstrap_first"))
}
