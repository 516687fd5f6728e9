package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/holdfast-dht/holdfast/internal/config"
)

const (
	appName    = "holdfast"
	socketName = "holdfast.sock"
	// dataDirMode keeps identity and records to the daemon's user.
	dataDirMode = 0o700
)

// ErrNoDataDir is returned when no setting determines the data directory.
var ErrNoDataDir = errors.New("no data directory: give --data-dir, storage.path, or set HOME")

// DataDir returns the data directory: storage.path, $STATE_DIRECTORY,
// $XDG_STATE_HOME/holdfast or ~/.local/state/holdfast. It does not create it.
func DataDir(c *config.Config, getenv func(string) string) (string, error) {
	dir := c.Storage.Path
	if dir == "" {
		dir = getenv("STATE_DIRECTORY")
	}
	if dir == "" && getenv("XDG_STATE_HOME") != "" {
		dir = filepath.Join(getenv("XDG_STATE_HOME"), appName)
	}
	if dir == "" && getenv("HOME") != "" {
		dir = filepath.Join(getenv("HOME"), ".local", "state", appName)
	}
	if dir == "" {
		return "", ErrNoDataDir
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("data directory %q: %w", dir, err)
	}
	return abs, nil
}

// socketPath returns where a daemon opens its admin socket: api.socket,
// $RUNTIME_DIRECTORY/holdfast.sock or <data directory>/holdfast.sock.
func socketPath(c *config.Config, dataDir string, getenv func(string) string) (string, error) {
	if c.API.Socket != "" {
		return filepath.Abs(c.API.Socket)
	}
	if dir := getenv("RUNTIME_DIRECTORY"); dir != "" {
		return filepath.Join(dir, socketName), nil
	}
	return filepath.Join(dataDir, socketName), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// linkSocket creates a link in the data directory to a socket that is elsewhere, because
// clients look there. It returns a function that removes the link.
func linkSocket(socket, dataDir string) (remove func(), err error) {
	link := filepath.Join(dataDir, socketName)
	if link == socket {
		return func() {}, nil
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("link to the admin socket: %w", err)
	}
	if err := os.Symlink(socket, link); err != nil {
		return nil, fmt.Errorf("link to the admin socket: %w", err)
	}
	return func() { os.Remove(link) }, nil
}

// makeDataDir creates the data directory if needed and checks that it is writable.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, dataDirMode); err != nil {
		return fmt.Errorf("data directory %s: %w; choose another with --data-dir", dir, err)
	}
	probe, err := os.CreateTemp(dir, ".write-*")
	if err != nil {
		return fmt.Errorf("data directory %s cannot be written: %w; choose another with --data-dir", dir, err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}
