package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// The directories of each node, by the configuration file and by what exists.
func TestFinder(t *testing.T) {
	for name, c := range map[string]struct {
		file   string
		exist  []string
		path   string // storage.path
		dir    string // empty: refused
		socket string
		unit   string
	}{
		"nothing":                      {"", nil, "", "/home/holdfast", "/home/holdfast/holdfast.sock", ""},
		"systemd's":                    {"", []string{"/var/lib/holdfast"}, "", "/var/lib/holdfast", "/run/holdfast/holdfast.sock", "holdfast"},
		"systemd's, its default file":  {"/etc/holdfast/config.toml", []string{"/var/lib/holdfast"}, "", "/var/lib/holdfast", "/run/holdfast/holdfast.sock", "holdfast"},
		"installed, never started":     {"", []string{"/usr/lib/systemd/system/holdfast.service"}, "", "/home/holdfast", "/run/holdfast/holdfast.sock", "holdfast"},
		"a user's own beside it":       {"", []string{"/var/lib/holdfast", "/home/holdfast"}, "", "", "/home/holdfast/holdfast.sock", "holdfast"},
		"both, by the unit's file":     {"/etc/holdfast/config.toml", []string{"/var/lib/holdfast", "/home/holdfast"}, "", "", "/home/holdfast/holdfast.sock", "holdfast"},
		"both, a path in the file":     {"", []string{"/var/lib/holdfast", "/home/holdfast"}, "/home/holdfast", "/home/holdfast", "/home/holdfast/holdfast.sock", ""},
		"the user's own is stopped":    {"", []string{"/run/holdfast/holdfast.sock", "/home/holdfast"}, "", "/home/holdfast", "/run/holdfast/holdfast.sock", "holdfast"},
		"an instance":                  {"/etc/holdfast/n.toml", []string{"/var/lib/holdfast", "/var/lib/holdfast-n", "/home/holdfast/holdfast.sock"}, "", "/var/lib/holdfast-n", "/run/holdfast-n/holdfast.sock", "holdfast@n"},
		"an instance that is not here": {"/etc/holdfast/n.toml", []string{"/var/lib/holdfast", "/run/holdfast/holdfast.sock"}, "", "", "/home/holdfast/holdfast.sock", ""},
		"a file elsewhere":             {"/srv/n.toml", []string{"/var/lib/holdfast", "/var/lib/holdfast-n", "/run/holdfast/holdfast.sock"}, "", "", "/home/holdfast/holdfast.sock", ""},
		"a user's file elsewhere":      {"/srv/n.toml", []string{"/var/lib/holdfast", "/home/holdfast"}, "", "/home/holdfast", "/home/holdfast/holdfast.sock", ""},
		"a path in the file":           {"/etc/holdfast/n.toml", []string{"/var/lib/holdfast-n"}, "/data", "/data", "/data/holdfast.sock", ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, path := range c.exist {
				require.NoError(t, os.MkdirAll(filepath.Join(root, path), 0o700))
			}
			within := func(path string) string {
				if path == "" {
					return ""
				}
				return root + path
			}
			conf := config.Default()
			conf.Storage.Path = within(c.path)
			f := Finder{Config: &conf, File: within(c.file), Getenv: environment{"XDG_STATE_HOME": root + "/home"}.get, Root: root}
			dir, err := f.DataDir()
			require.Equal(t, within(c.dir), dir)
			if c.dir == "" {
				require.ErrorIs(t, err, ErrWhichDataDir)
			}
			socket, err := f.Socket()
			require.NoError(t, err)
			require.Equal(t, within(c.socket), socket)
			require.Equal(t, c.unit, f.Unit())
		})
	}
}
