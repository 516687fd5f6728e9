package config

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// network.port sets the port of the listen addresses. The key from the later
// source wins.
func TestPort(t *testing.T) {
	const env, envListen = "HOLDFAST_NETWORK__PORT=", "HOLDFAST_NETWORK__LISTEN="
	const one = "/ip4/192.0.2.1/tcp/5"
	byDefault := Default().Network.Listen
	flag := func(port string) Setting { return Setting{Key: portKey, Value: port, Flag: "--port"} }
	flagListen := Setting{Key: listenKey, List: []string{one}, Flag: "--listen"}
	for _, c := range []struct {
		name   string
		file   string // the section [network]
		env    []string
		flags  []Setting
		listen []string
		origin string // of network.listen; F is the file
	}{
		{"nothing", "", nil, nil, byDefault, "default"},
		{"port in the file", "port = 7", nil, nil, withPort(byDefault, 7), "file F:2"},
		{"any free port", "port = 0", nil, nil, withPort(byDefault, 0), "file F:2"},
		{"port in the environment", "", []string{env + "7"}, nil, withPort(byDefault, 7), "env HOLDFAST_NETWORK__PORT"},
		{"port by flag", "", nil, []Setting{flag("7")}, withPort(byDefault, 7), "flag --port"},
		{"environment before file", "port = 6", []string{env + "7"}, nil, withPort(byDefault, 7), "env HOLDFAST_NETWORK__PORT"},
		{"flag before environment", "port = 5", []string{env + "6"}, []Setting{flag("7")}, withPort(byDefault, 7), "flag --port"},
		{"addresses alone", "listen = ['" + one + "']", nil, nil, []string{one}, "file F:2"},
		{"both agree", "port = 5\nlisten = ['" + one + "']", nil, nil, []string{one}, "file F:3"},
		{"in a file with all defaults, the port changed", "port = 7\nlisten = " + tomlOf(byDefault), nil, nil, withPort(byDefault, 7), "file F:2"},
		{"in a file with all defaults, the addresses changed", fmt.Sprintf("port = %d\nlisten = ['%s']", DefaultPort, one), nil, nil, []string{one}, "file F:3"},
		{"port of the environment, addresses of the file", "listen = ['" + one + "']", []string{env + "7"}, nil, []string{"/ip4/192.0.2.1/tcp/7"}, "env HOLDFAST_NETWORK__PORT"},
		{"port of the file, addresses of the environment", "port = 7", []string{envListen + one}, nil, []string{one}, "env HOLDFAST_NETWORK__LISTEN"},
		{"default port by flag, addresses of the file", "listen = ['" + one + "']", nil, []Setting{flag(strconv.Itoa(DefaultPort))}, []string{"/ip4/192.0.2.1/tcp/4011"}, "flag --port"},
		{"addresses by flag, port of the file", "port = 7", nil, []Setting{flagListen}, []string{one}, "flag --listen"},
		{"both by flag", "", nil, []Setting{flag("7"), flagListen}, []string{"/ip4/192.0.2.1/tcp/7"}, "flag --port"},
		{"no listener", "mode = 'client'\nport = 7\nlisten = []", nil, nil, []string{}, "file F:4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, "[network]\n"+c.file+"\n")
			l, err := Load(Sources{File: file, Env: c.env, Flags: c.flags})
			require.NoError(t, err)
			require.Equal(t, c.listen, l.Config.Network.Listen)
			origin := l.Origin(listenKey)
			if origin.Name == file {
				origin.Name = "F"
			}
			require.Equal(t, c.origin, origin.String())
			again, err := Load(Sources{File: write(t, l.Print(false))})
			require.NoError(t, err, "what Print returns loads")
			require.Equal(t, l.Config, again.Config)
		})
	}
}

// If a source sets both keys to different ports, the error names both and what to do.
func TestPortContradictsAddresses(t *testing.T) {
	file := write(t, "[network]\nport = 7\nlisten = ['/ip4/192.0.2.1/tcp/7', '/ip4/192.0.2.1/udp/5/quic-v1']\n")
	_, err := Load(Sources{File: file})
	require.ErrorIs(t, err, ErrInvalid)
	const detail = "network.listen has /ip4/192.0.2.1/udp/5/quic-v1: remove one of the two keys, or write the same port in both"
	require.EqualError(t, err, "invalid configuration: network.port is 7; "+detail+" (from file "+file+":2)")
	_, err = Load(Sources{Env: []string{"HOLDFAST_NETWORK__PORT=7", "HOLDFAST_NETWORK__LISTEN=/ip4/192.0.2.1/udp/5/quic-v1"}})
	require.EqualError(t, err, "invalid configuration: network.port is 7; "+detail+" (from env HOLDFAST_NETWORK__PORT)")
}

// A port is from 0 to maxPort. A wrong one leaves the addresses as they are.
func TestPortBounds(t *testing.T) {
	for port, ok := range map[int]bool{-1: false, 0: true, 1: true, maxPort: true, maxPort + 1: false} {
		l, err := Load(Sources{Flags: []Setting{{Key: portKey, Value: strconv.Itoa(port), Flag: "--port"}}})
		if ok {
			require.NoError(t, err, port)
			continue
		}
		require.EqualError(t, err, fmt.Sprintf("invalid configuration: network.port is %d; it is from 0 to 65535 (from flag --port)", port))
		require.Equal(t, Default().Network.Listen, l.Config.Network.Listen)
	}
}

func TestWithPort(t *testing.T) {
	require.Equal(t, []string{"/ip4/0.0.0.0/tcp/7", "/ip6/::/udp/7/quic-v1", "nonsense", "/tcp"},
		withPort([]string{"/ip4/0.0.0.0/tcp/4011", "/ip6/::/udp/4011/quic-v1", "nonsense", "/tcp"}, 7))
	require.Equal(t, withPort(Default().Network.Listen, DefaultPort), Default().Network.Listen)
}

// tomlOf returns a list as TOML.
func tomlOf(list []string) string {
	c := Config{Network: Network{Listen: list}}
	k, _ := keyByPath(listenKey)
	return k.Value(&c)
}
