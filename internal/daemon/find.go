package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// ErrWhichDataDir is returned when nothing says where a node keeps its data: its
// configuration file is not that of the default node, or both the user and systemd have a
// default node.
var ErrWhichDataDir = errors.New("unknown data directory")

// Finder finds the node that a command is for: its data directory and its admin socket. A
// node that systemd runs has them where its unit puts them: holdfast in /var/lib/holdfast
// and /run/holdfast, holdfast@NAME, whose file is /etc/holdfast/NAME.toml, in
// /var/lib/holdfast-NAME and /run/holdfast-NAME. A command for one node never falls back to
// another one.
type Finder struct {
	Config *config.Config
	File   string // the configuration file, also if it has mistakes; empty: none
	Getenv func(string) string
	Root   string // put before /etc, /run, /usr and /var; tests have their own
}

// DataDir returns the data directory, for a command on a stopped daemon.
func (f Finder) DataDir() (string, error) {
	own, err := DataDir(f.Config, f.Getenv)
	if f.named() {
		return own, err
	}
	u, ok := f.unit()
	switch {
	case ok && !u.instance() && err == nil && own != u.dataDir() && exists(own) && exists(u.dataDir()):
		return "", fmt.Errorf("%w: %s exists, and so does %s of the systemd unit; name one of them with --data-dir", ErrWhichDataDir, own, u.dataDir())
	case ok && (u.instance() || err != nil || !exists(own)) && exists(u.dataDir()):
		return u.dataDir(), nil
	case ok && u.instance():
		return "", fmt.Errorf("%w: %s has no storage.path, and there is no %s; name the directory with --data-dir, or write it into the file", ErrWhichDataDir, f.File, u.dataDir())
	case !ok && !exists(own):
		return "", fmt.Errorf("%w: %s has no storage.path; name the directory with --data-dir, or write it into the file", ErrWhichDataDir, f.File)
	}
	return own, err
}

// Socket returns the path of the daemon's admin socket.
func (f Finder) Socket() (string, error) {
	if f.Config.API.Socket != "" {
		return filepath.Abs(f.Config.API.Socket)
	}
	dir, err := DataDir(f.Config, f.Getenv)
	own := filepath.Join(dir, socketName)
	if u, ok := f.unit(); ok && !f.named() {
		missing := err != nil || !exists(own)
		stopped := (err != nil || !exists(dir)) && u.known()
		if u.instance() && u.known() || !u.instance() && missing && (u.running() || stopped) {
			return u.socket(), nil
		}
	}
	if err != nil {
		return "", err
	}
	return own, nil
}

// Unit returns the name of the systemd unit of the node, without ".service". It returns ""
// if systemd does not run the node.
func (f Finder) Unit() string {
	u, ok := f.unit()
	if !ok || !u.known() {
		return ""
	}
	dir, socket := f.Config.Storage.Path, f.Config.API.Socket
	if dir != "" && dir != u.dataDir() || socket != "" && socket != u.socket() {
		return ""
	}
	return u.name
}

// PeerID returns the peer ID of the node. It returns "" if the node has none yet, or if this
// user cannot read its key.
func (f Finder) PeerID() peer.ID {
	dir, err := f.DataDir()
	if err != nil {
		return ""
	}
	key, err := loadIdentity(dir, f.Getenv)
	if err != nil {
		return ""
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return ""
	}
	return id
}

// Elsewhere reports whether only the content of the configuration file can say where the
// node is.
func (f Finder) Elsewhere() bool {
	_, ok := f.unit()
	return !ok && f.Config.API.Socket == "" && !f.named()
}

// named reports whether a setting names the data directory.
func (f Finder) named() bool { return f.Config.Storage.Path != "" || f.Getenv("STATE_DIRECTORY") != "" }

// unit returns the unit whose configuration file is f.File, whether or not it exists.
func (f Finder) unit() (unit, bool) {
	if f.File == "" || f.File == f.defaultFile() {
		return unit{f.Root, appName}, true
	}
	path, err := filepath.Abs(f.File)
	name, isTOML := strings.CutSuffix(filepath.Base(path), ".toml")
	switch {
	case err != nil || !isTOML || filepath.Dir(path) != f.Root+"/etc/holdfast":
		return unit{}, false
	case name == "config":
		return unit{f.Root, appName}, true
	}
	return unit{f.Root, appName + "@" + name}, true
}

// defaultFile returns the file that is read if none is named.
func (f Finder) defaultFile() string {
	return config.Find("", func(name string) string {
		if name == config.FileEnv {
			return ""
		}
		return f.Getenv(name)
	})
}

// unit is a systemd unit of deploy/systemd.
type unit struct {
	root string // of the file system
	name string // "holdfast", "holdfast@NAME"
}

func (u unit) instance() bool  { return u.name != appName }
func (u unit) dirName() string { return strings.Replace(u.name, "@", "-", 1) }
func (u unit) dataDir() string { return u.root + "/var/lib/" + u.dirName() }
func (u unit) runDir() string  { return u.root + "/run/" + u.dirName() }
func (u unit) socket() string  { return u.runDir() + "/" + socketName }

// running reports whether there is an admin socket, also if this user may not see it.
func (u unit) running() bool { return exists(u.socket()) || Denied(u.socket()) }

// known reports whether the unit has been started, or for holdfast installed.
func (u unit) known() bool {
	if exists(u.dataDir()) || exists(u.runDir()) {
		return true
	}
	file := u.name + ".service"
	return !u.instance() && (exists(u.root+"/etc/systemd/system/"+file) || exists(u.root+"/usr/lib/systemd/system/"+file))
}

// Denied reports whether this user may not see a file.
func Denied(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrPermission)
}
