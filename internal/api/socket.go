package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// socketMode gives access to the daemon's user and group.
const socketMode = 0o660

// maxSocketPath is the longest path of a unix socket in bytes (sun_path on
// Linux: 108 with its final zero). A longer one is reached through its directory.
const maxSocketPath = 107

// ErrSocketInUse is returned when another process listens on the socket.
var ErrSocketInUse = errors.New("the admin socket is in use")

// Listen opens the admin socket at path. It replaces a socket that a dead process has
// left. Closing the listener removes the socket.
func Listen(path string) (net.Listener, error) {
	short, dir, err := shorten(path)
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	l, err := listen(path, short)
	if err != nil {
		dir.Close()
		return nil, err
	}
	return &listener{Listener: l, path: path, dir: dir}, nil
}

func listen(path, short string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", short, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("%w: another process answers on %s; stop it or choose another path with api.socket", ErrSocketInUse, path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket == 0 {
		return nil, fmt.Errorf("%s exists and is not a socket; remove it or choose another path with api.socket", path)
	} else if err == nil {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("stale admin socket: %w", err)
		}
	}
	l, err := net.Listen("unix", short)
	if err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // listener.Close removes it, by the full path
	if err := os.Chmod(path, socketMode); err != nil {
		l.Close()
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	return l, nil
}

func dial(ctx context.Context, path string) (net.Conn, error) {
	short, dir, err := shorten(path)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: err}
	}
	defer dir.Close()
	var d net.Dialer
	return d.DialContext(ctx, "unix", short)
}

// shorten returns a path of the same file that fits into a socket address. It also
// returns the open directory that the path uses, or nil; the caller closes it after use.
func shorten(path string) (string, *os.File, error) {
	if len(path) <= maxSocketPath {
		return path, nil, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), dir, nil
}

// listener removes its socket by the original path.
type listener struct {
	net.Listener
	path string
	dir  *os.File // keeps a shortened path valid; nil if none was needed
}

// Close stops listening and removes the socket.
func (l *listener) Close() error {
	err := l.Listener.Close()
	if err != nil {
		return err // closed before: the path may belong to another process now
	}
	_ = os.Remove(l.path)
	if l.dir != nil {
		l.dir.Close()
	}
	return nil
}
