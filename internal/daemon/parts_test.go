package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

const (
	peerA = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
	peerB = "QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB"
)

// environment returns a getenv for the variables.
type environment map[string]string

func (e environment) get(name string) string { return e[name] }

func TestIdentityIsMadeOnce(t *testing.T) {
	dir, none := t.TempDir(), environment{}
	_, err := loadIdentity(dir, none.get)
	require.ErrorIs(t, err, fs.ErrNotExist)
	first, created, err := identity(dir, none.get)
	require.NoError(t, err)
	require.True(t, created)
	info, err := os.Stat(filepath.Join(dir, IdentityFile))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	again, created, err := identity(dir, none.get)
	require.NoError(t, err)
	require.False(t, created)
	require.True(t, first.Equals(again))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")

	other, err := NewIdentity()
	require.NoError(t, err)
	require.ErrorIs(t, SaveIdentity(dir, other), ErrIdentityExists)
	require.NoError(t, SaveIdentity(dir, first))

	// The credentials of systemd come first.
	creds := t.TempDir()
	require.NoError(t, SaveIdentity(creds, other))
	have, _, err := identity(dir, environment{"CREDENTIALS_DIRECTORY": creds}.get)
	require.NoError(t, err)
	require.True(t, other.Equals(have))
}

func TestDamagedIdentityIsNeverReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, IdentityFile)
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	_, _, err := identity(dir, environment{}.get)
	require.ErrorIs(t, err, ErrIdentity)
	require.ErrorContains(t, err, path)
	key, err := NewIdentity()
	require.NoError(t, err)
	require.ErrorIs(t, SaveIdentity(dir, key), ErrIdentity)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "x", string(data))
}

// A start with another identity than that of the last start warns, with both peer IDs.
func TestOtherIdentity(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir)
	require.NoError(t, first.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, IdentityFile)))
	for i := range 2 {
		o, log := options(t, dir)
		second, err := Start(o)
		require.NoError(t, err)
		require.NoError(t, second.Close())
		if i > 0 {
			require.NotContains(t, log.String(), "another peer ID", "it was reported")
			break
		}
		require.Regexp(t, "level=WARN msg=\"the database was used by another peer ID: .* peer_id="+second.host.ID().String()+" database="+first.host.ID().String(), log.String())
	}
}

func TestSeededIdentity(t *testing.T) {
	id := func(seed int64) string {
		key, err := SeededIdentity(seed)
		require.NoError(t, err)
		id, err := peer.IDFromPrivateKey(key)
		require.NoError(t, err)
		return id.String()
	}
	require.Equal(t, "12D3KooWQH1NxJttR6rrdYUozWVTpkT4VscXyW6oytZS4CbTq1CW", id(1), "the same in every version")
	require.NotEqual(t, id(1), id(2))
}

func TestDataDir(t *testing.T) {
	for _, c := range []struct {
		path string
		env  environment
		want string
	}{
		{"/a", environment{"STATE_DIRECTORY": "/b"}, "/a"},
		{"", environment{"STATE_DIRECTORY": "/b", "XDG_STATE_HOME": "/c"}, "/b"},
		{"", environment{"XDG_STATE_HOME": "/c", "HOME": "/d"}, "/c/holdfast"},
		{"", environment{"HOME": "/d"}, "/d/.local/state/holdfast"},
	} {
		conf := config.Default()
		conf.Storage.Path = c.path
		have, err := DataDir(&conf, c.env.get)
		require.NoError(t, err)
		require.Equal(t, c.want, have)
	}
	conf := config.Default()
	_, err := DataDir(&conf, environment{}.get)
	require.ErrorIs(t, err, ErrNoDataDir)
}

func TestSocketElsewhereIsFoundInTheDataDirectory(t *testing.T) {
	dir, run := t.TempDir(), t.TempDir()
	c := config.Default()
	c.Storage.Path = dir
	path, err := socketPath(&c, dir, environment{"RUNTIME_DIRECTORY": run}.get)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(run, socketName), path)
	require.NoError(t, os.Symlink("/stale", filepath.Join(dir, socketName)))
	remove, err := linkSocket(path, dir)
	require.NoError(t, err)
	found, err := Finder{Config: &c, Getenv: environment{}.get}.Socket()
	require.NoError(t, err)
	target, err := os.Readlink(found)
	require.NoError(t, err)
	require.Equal(t, path, target)
	remove()
	require.NoFileExists(t, found)

	c.API.Socket = "/x/y.sock"
	found, err = Finder{Config: &c, Getenv: environment{}.get}.Socket()
	require.NoError(t, err)
	require.Equal(t, "/x/y.sock", found)
}

func TestLogLevels(t *testing.T) {
	var out bytes.Buffer
	l, err := NewLogs(&out, "text", "info,libp2p=error,rpc=debug")
	require.NoError(t, err)
	says := func(subsystem string) string {
		out.Reset()
		log := l.Logger(subsystem)
		log.Debug("d")
		log.Info("i")
		log.Warn("w")
		log.Error("e")
		var levels []string
		for line := range strings.Lines(out.String()) {
			require.Contains(t, line, "subsystem="+subsystem)
			levels = append(levels, line[strings.Index(line, "msg=")+4:][:1])
		}
		return strings.Join(levels, "")
	}
	require.Equal(t, "iwe", says("node"))
	require.Equal(t, "diwe", says("rpc"))
	require.Equal(t, "e", says("libp2p"))
	require.Equal(t, "e", says("libp2p/swarm2"))
	require.NoError(t, l.Set("libp2p/swarm2", "warn"))
	require.Equal(t, "we", says("libp2p/swarm2"))
	require.Equal(t, "e", says("libp2p/other"))
	require.NoError(t, l.Set("", "warn"))
	for _, subsystem := range []string{"node", "rpc", "libp2p", "libp2p/swarm2", "libp2p/other"} {
		require.Equal(t, "we", says(subsystem), "it is the level of all")
	}
	require.Equal(t, map[string]string{"": "warn"}, l.Levels())
	require.NoError(t, l.Set("", "debug"))
	require.Equal(t, "diwe", says("node"))
	require.Error(t, l.Set("node", "loud"))
	require.Error(t, l.SetAll("loud"))
	require.Equal(t, map[string]string{"": "debug"}, l.Levels())
	require.NoError(t, l.SetAll("error"))
	require.Equal(t, "e", says("rpc"))
}

// The agent string of a peer cannot forge log lines or control a terminal.
func TestLogsEscapeWhatPeersSay(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		l, err := NewLogs(&out, format, "info")
		require.NoError(t, err)
		l.Logger("node").Info("hello", "agent", "a\nb\x1b[31mc\u202ed", "err", errors.New("x\r\ny"))
		require.Equal(t, 1, strings.Count(out.String(), "\n"))
		require.NotContains(t, out.String(), "\x1b")
		require.NotContains(t, out.String(), "\r")
	}
}

func TestParseBootstrap(t *testing.T) {
	infos, err := ParseBootstrap([]string{
		"/ip4/127.0.0.1/tcp/1/p2p/" + peerB, "/dns4/example.org/tcp/2/p2p/" + peerA, "/ip4/127.0.0.1/udp/1/quic-v1/p2p/" + peerB,
	})
	require.NoError(t, err)
	require.Len(t, infos, 2)
	require.Equal(t, peerB, infos[0].ID.String(), "in the order given")
	require.Len(t, infos[0].Addrs, 2)

	_, err = ParseBootstrap([]string{"x", "/ip4/127.0.0.1/tcp/1", "/p2p/" + peerA, "/ip4/300.0.0.1/tcp/1/p2p/" + peerA})
	require.ErrorIs(t, err, ErrAddr)
	for _, says := range []string{`"x" is not a multiaddr`, "has no peer ID", "without an address", "300.0.0.1"} {
		require.ErrorContains(t, err, says)
	}
}

func TestCheckNamesEachKey(t *testing.T) {
	c := config.Default()
	require.Empty(t, Check(&c))
	c.Network.Listen = []string{"/ip4/0.0.0.0/tcp/1", "/dns4/example.org/tcp/1", "/ip4/0.0.0.0/udp/1"}
	c.Network.Announce = []string{"1.2.3.4"}
	c.Network.Bootstrap = []string{"y"}
	var keys []string
	for _, v := range Check(&c) {
		keys = append(keys, v.Key)
		require.NotContains(t, v.String(), "daemon:")
	}
	require.Equal(t, []string{"network.listen", "network.listen", "network.announce", "network.bootstrap"}, keys)
}

func TestListenable(t *testing.T) {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer udp.Close()
	port := func(a net.Addr) string { _, p, _ := net.SplitHostPort(a.String()); return p }
	for _, taken := range []string{
		"/ip4/127.0.0.1/tcp/" + port(tcp.Addr()), "/ip4/0.0.0.0/tcp/" + port(tcp.Addr()),
		"/ip4/127.0.0.1/udp/" + port(udp.LocalAddr()) + "/quic-v1",
	} {
		_, _, err := listenable([]string{"/ip4/127.0.0.1/tcp/0", taken})
		require.ErrorIs(t, err, ErrPortTaken)
		require.ErrorContains(t, err, taken)
	}
	const elsewhere = "/ip4/203.0.113.7/tcp/0" // TEST-NET-3
	usable, skipped, err := listenable([]string{elsewhere, "/ip4/127.0.0.1/tcp/0"})
	require.NoError(t, err)
	require.Len(t, usable, 1)
	require.Len(t, skipped, 1)
	_, _, err = listenable([]string{elsewhere})
	require.ErrorIs(t, err, ErrNoListener)
}

func TestDialFailure(t *testing.T) {
	id, err := peer.Decode(peerA)
	require.NoError(t, err)
	refused := errors.New("refused")
	err = fmt.Errorf("ping: %w", rpc.NewDialError(id, &swarm.DialError{Peer: id, Cause: swarm.ErrAllDialsFailed, DialErrors: []swarm.TransportError{
		{Address: ma.StringCast("/ip4/127.0.0.1/tcp/1"), Cause: refused}, {Address: ma.StringCast("/ip6/::1/tcp/1"), Cause: refused},
	}}))
	require.Equal(t, peerA+": [/ip4/127.0.0.1/tcp/1] refused; [/ip6/::1/tcp/1] refused", DialFailure(err))
	require.Equal(t, "anything else", DialFailure(errors.New("anything else")))
}
