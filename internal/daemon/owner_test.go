//go:build unix

package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/storage"
)

// After root has worked on a stopped daemon's database, the files still belong to the
// daemon's user.
func TestRootGivesBack(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can own files of others")
	}
	const user = 65533
	owner := func(path string) int {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		return int(info.Sys().(*syscall.Stat_t).Uid)
	}
	dir := t.TempDir()
	d := start(t, dir)
	var backup bytes.Buffer
	_, err := d.store.Backup(&backup)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.NoError(t, os.Chown(dir, user, user))
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, nil, 0o600))
	require.NoError(t, os.Symlink(secret, filepath.Join(dir, "symlink")))
	require.NoError(t, os.Link(secret, filepath.Join(dir, "link")))

	c := d.config
	path := filepath.Join(dir, storage.FileName)
	for name, do := range map[string]func() error{
		"check":   func() error { _, err := CheckStore(dir, &c, false, nil); return err },
		"compact": func() error { _, _, err := CompactStore(dir, nil); return err },
		"restore": func() error { _, err := RestoreStore(dir, &backup, environment{}.get, false, nil); return err },
	} {
		require.NoError(t, os.Chown(path, 0, 0))
		require.NoError(t, do(), name)
		require.Equal(t, user, owner(path), name)
	}
	require.Equal(t, 0, owner(secret), "links are not followed")

	require.NoError(t, os.Remove(filepath.Join(dir, IdentityFile)))
	key, err := NewIdentity()
	require.NoError(t, err)
	require.NoError(t, SaveIdentity(dir, key))
	require.Equal(t, user, owner(filepath.Join(dir, IdentityFile)))
}
