package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// setting is a line of config print --json.
type setting struct {
	Key, Origin, Unit, Env string
	Value                  any
	Reloads                bool
}

// settings runs config print or config default and parses its output.
func (s *shell) settings(line string) map[string]setting {
	s.t.Helper()
	code, stdout, stderr := s.runIn(s.t.Context(), strings.Fields(line+" --json")...)
	require.Zero(s.t, code, stderr)
	all := map[string]setting{}
	for line := range strings.Lines(stdout) {
		var v setting
		require.NoError(s.t, json.Unmarshal([]byte(line), &v), line)
		require.NotContains(s.t, all, v.Key)
		all[v.Key] = v
	}
	return all
}

// text formats a value for the environment.
func (v setting) text() string {
	if list, ok := v.Value.([]any); ok {
		var items []string
		for _, item := range list {
			items = append(items, fmt.Sprint(item))
		}
		return strings.Join(items, ",")
	}
	if n, ok := v.Value.(float64); ok {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprint(v.Value)
}

// Each setting can be read from the environment in the form that config print writes, and
// config print then names the variable as its origin.
func TestEverySettingOfTheEnvironment(t *testing.T) {
	s := shellOf(t, nil)
	defaults := s.settings("config default")
	require.Len(t, defaults, len(config.Keys()))
	for _, k := range config.Keys() {
		if k.Env() == "" {
			continue
		}
		was := defaults[k.Path()]
		require.Equal(t, k.Env(), was.Env)
		require.Equal(t, "default", was.Origin)
		s.environ = []string{k.Env() + "=" + was.text()}
		is := s.settings("config print")
		require.Equal(t, was.Value, is[k.Path()].Value, k.Path())
		require.Equal(t, "env "+k.Env(), is[k.Path()].Origin)
		for path, other := range is {
			if path != k.Path() {
				require.Equal(t, defaults[path], other, "%s changes no other", k.Path())
			}
		}
	}
}

// The output of config print is a valid file with the same settings, and the origins name
// the right lines of it.
func TestPrintedConfigurationIsOne(t *testing.T) {
	s := shellOf(t, nil)
	s.environ = []string{
		"HOLDFAST_NETWORK__MODE=client", "HOLDFAST_NETWORK__ANNOUNCE=/ip4/192.0.2.1/tcp/1,/dns4/example.org/tcp/2", "HOLDFAST_VALUES__UNVALIDATED_NAMESPACES=a,b",
		"HOLDFAST_REPUBLISH__INTERVAL=1h30m", "HOLDFAST_STORAGE__MAX_BYTES=1536MiB", "HOLDFAST_VALUES__RAW_KEYS=true", `HOLDFAST_LOG__LEVEL=warn,rpc=debug`,
	}
	for _, print := range []string{"config print --data-dir /a'b", "config print --origin --data-dir /d", "config default"} {
		code, text, stderr := s.runIn(t.Context(), strings.Fields(print)...)
		require.Zero(t, code, stderr)
		require.NoError(t, os.WriteFile("printed.toml", []byte(text), 0o600))
		want := s.settings(print)
		again := shellAt(s)
		code, stdout, stderr := again.runIn(t.Context(), "config", "validate", "printed.toml")
		require.Zero(t, code, stderr)
		require.Equal(t, "printed.toml is valid\n", stdout)
		lines := strings.Split(text, "\n")
		for path, v := range again.settings("config print --config printed.toml") {
			require.Equal(t, want[path].Value, v.Value, path)
			var line int
			_, err := fmt.Sscanf(v.Origin, "file printed.toml:%d", &line)
			require.NoError(t, err, v.Origin)
			require.True(t, strings.HasPrefix(lines[line-1], path[strings.IndexByte(path, '.')+1:]+" = "), "%s: %s", path, lines[line-1])
		}
	}
}

// shellAt returns a shell in the same directory without settings in the environment.
func shellAt(s *shell) *shell { return &shell{t: s.t, socket: s.socket, env: s.env} }

// A flag wins over the environment, the environment over the file, the file over the
// default.
func TestWhichSettingWins(t *testing.T) {
	s := shellOf(t, nil)
	require.NoError(t, os.WriteFile("c.toml", []byte("[storage]\npath = \"/of-file\"\n"), 0o600))
	path := func(line string) string {
		v := s.settings(line)["storage.path"]
		return fmt.Sprint(v.Value, " ", v.Origin)
	}
	require.Equal(t, " default", path("config print"))
	require.Equal(t, "/of-file file c.toml:2", path("config print --config c.toml"))
	s.env["HOLDFAST_CONFIG"] = "c.toml"
	require.Equal(t, "/of-file file c.toml:2", path("config print"))
	s.environ = []string{"HOLDFAST_STORAGE__PATH=of-env"}
	require.Equal(t, "of-env env HOLDFAST_STORAGE__PATH", path("config print"))
	require.Equal(t, "of-flag flag --data-dir", path("config print --data-dir of-flag"))
	require.Equal(t, "of-flag flag --data-dir", path("--data-dir of-flag config print"), "wherever it stands")
	require.NoError(t, os.WriteFile("other.toml", nil, 0o600))
	s.environ = nil
	require.Equal(t, " default", path("config print --config other.toml"), "--config wins over HOLDFAST_CONFIG")
}

// brokenFiles are invalid configuration files, each with a part of its error.
var brokenFiles = map[string]string{
	"[network":                                            "c.toml:1",
	"[network]\nmode = ":                                  "c.toml:2",
	"[network]\nmode = client\n":                          "c.toml:2",
	"[network]\nmode = \"client\n":                        "c.toml:2",
	"[network]\nmode = 7\n":                               "c.toml:2",
	"[network]\nmode = [\"client\"]\n":                    "c.toml:2",
	"[network]\nmode = \"boss\"\n":                        `network.mode is "boss"; it is auto, client or server (from file c.toml:2)`,
	"[network]\nlisten = \"/ip4\"\n":                      "c.toml:2",
	"[network]\nlisten = [7]\n":                           "c.toml:2",
	"[network]\nlisten = [\"\"]\n":                        "c.toml:2",
	"[network]\nmode = \"auto\"\nmode = \"auto\"\n":       "c.toml:3",
	"[network]\n[network]\n":                              "c.toml:2",
	"[nets]\nmode = \"auto\"\n":                           "unknown key: c.toml:1: nets; `holdfast config default` prints every key",
	"mode = \"auto\"\n":                                   "unknown key: c.toml:1: mode",
	"[values]\nraw_keys = \"yes\"\n":                      "c.toml:2",
	"[values]\nraw_keys = 1\n":                            "c.toml:2",
	"[storage]\nmax_bytes = \"12 parsecs\"\n":             "c.toml:2",
	"[storage]\nmax_bytes = \"-1GiB\"\n":                  "c.toml:2",
	"[storage]\nmax_bytes = \"99999999TiB\"\n":            "c.toml:2",
	"[storage]\nmax_bytes = 99999999999999999999\n":       "c.toml:2",
	"[republish]\ninterval = \"22\"\n":                    "c.toml:2",
	"[republish]\ninterval = \"-22h\"\n":                  "c.toml:2",
	"[republish]\ninterval = \"99999999h\"\n":             "c.toml:2",
	"[republish]\ninterval = 22\n":                        "c.toml:2",
	"[limits]\nconnections_high = \"many\"\n":             "c.toml:2",
	"[limits]\nconnections_high = 1.5\n":                  "c.toml:2",
	"[limits]\nconnections_high = -1\n":                   "c.toml:2",
	"[limits]\nconnections_high = 99999999999999999999\n": "c.toml:2",
	"[log]\nlevel = \"loud\"\n":                           "c.toml:2",
	"[log]\nlevel = \"info,rcp=debug\"\n":                 "c.toml:2",
	"[log]\nformat = \"xml\"\n":                           "c.toml:2",
	"[metrics]\nlisten = \"everywhere\"\n":                "c.toml:2",
	"[metrics]\nlisten = \"1.2.3.4:99999\"\n":             "c.toml:2",
	"\x00\x01\x02":                                        "c.toml:1",
	"[log]\nlevel = \"\x1b[2J\"\n":                        "c.toml:2",
	"[log]\nlevel = \"\\u001b[2J\"\n":                     "c.toml:2",
	"\xff\xfe[\x00l\x00o\x00g\x00]\x00":                   "c.toml:1",
}

// For an invalid file, each command fails with the place of the mistake, without error texts
// of Go's packages, and creates nothing.
func TestBrokenFiles(t *testing.T) {
	for text, says := range brokenFiles {
		t.Run(text, func(t *testing.T) {
			s := shellOf(t, nil)
			require.NoError(t, os.WriteFile("c.toml", []byte(text), 0o600))
			for _, line := range []string{"config validate c.toml", "config print --config c.toml", "serve --config c.toml", "serve --config c.toml --port 0"} {
				code, stdout, stderr := s.runIn(t.Context(), strings.Fields(line+" --data-dir d")...)
				require.Equal(t, exitFailed, code, "%s: %s", line, stderr)
				require.Contains(t, stderr, says, line)
				require.NotRegexp(t, goProse, stderr, line)
				require.NotContains(t, stderr, "\x1b", line)
				require.Empty(t, stdout, line)
			}
			require.NoFileExists(t, "d")
		})
	}
}

// An invalid variable is not a usage error, even if a flag sets the same key.
func TestBrokenEnvironmentUnderAFlag(t *testing.T) {
	s := shellOf(t, nil)
	s.environ = []string{"HOLDFAST_VALUES__RAW_KEYS=perhaps"}
	for _, line := range []string{"get k --raw-keys", "get k --raw-keys --bootstrap " + someAddr} {
		code, stdout, stderr := s.run(line)
		require.Equal(t, exitFailed, code, "%s: %s", line, stderr)
		require.Contains(t, stderr, "(from env HOLDFAST_VALUES__RAW_KEYS)", line)
		require.Empty(t, stdout, line)
	}
	code, _, stderr := s.run("get k --protocol-prefix wrong --bootstrap " + someAddr)
	require.Equal(t, exitUsage, code, stderr)
}

// For a mistake in the environment, the error names the variable.
func TestBrokenEnvironment(t *testing.T) {
	s := shellOf(t, nil)
	for variable, says := range map[string]string{
		"NETWORK__MODE=boss":                    `network.mode is "boss"; it is auto, client or server`,
		"NETWORK__LISTEN=4011":                  `network.listen has "4011", which is not a multiaddr`,
		"STORAGE__MAX_BYTES=12 parsecs":         `storage.max_bytes`,
		"STORAGE__MAX_BYTES=99999999TiB":        `storage.max_bytes`,
		"REPUBLISH__INTERVAL=22":                `republish.interval`,
		"REPUBLISH__INTERVAL=99999999h":         `republish.interval`,
		"LIMITS__CONNECTIONS_HIGH=many":         `limits.connections_high`,
		"LIMITS__CONNECTIONS_HIGH=" + long(400): `limits.connections_high`,
		"VALUES__RAW_KEYS=perhaps":              `values.raw_keys`,
		"LOG__LEVEL=\x1b[2J":                    `log.level`,
		"METRICS__LISTEN=1.2.3.4:99999":         `metrics.listen`,
	} {
		name, _, _ := strings.Cut(variable, "=")
		s.environ = []string{"HOLDFAST_" + variable}
		for _, line := range []string{"config validate", "config print", "serve --data-dir d"} {
			code, stdout, stderr := s.runIn(t.Context(), strings.Fields(line)...)
			require.Equal(t, exitFailed, code, "%s: %s", variable, stderr)
			require.Contains(t, stderr, says)
			require.Contains(t, stderr, "env "+"HOLDFAST_"+name, variable)
			require.NotRegexp(t, goProse, stderr)
			require.NotContains(t, stderr, "\x1b")
			require.Empty(t, stdout)
		}
	}
	require.NoFileExists(t, "d")
}

// A missing file named by a flag is wrong use; a directory is a failure.
func TestConfigurationThatIsNoFile(t *testing.T) {
	s := shellOf(t, nil)
	require.NoError(t, os.Mkdir("dir", 0o700))
	for _, command := range []string{"config validate --config", "config validate", "config print --config", "serve --data-dir d --config"} {
		code, _, stderr := s.runIn(t.Context(), append(strings.Fields(command), "none.toml")...)
		require.Equal(t, exitUsage, code, stderr)
		require.Contains(t, stderr, "none.toml: no such file or directory")
		code, _, stderr = s.runIn(t.Context(), append(strings.Fields(command), "dir")...)
		require.Equal(t, exitFailed, code, stderr)
		require.Contains(t, stderr, "dir: is a directory")
		s.env["HOLDFAST_CONFIG"] = "none.toml"
	}
	code, _, stderr := s.runIn(t.Context(), "config", "validate")
	require.Equal(t, exitFailed, code, stderr)
	require.Contains(t, stderr, "none.toml: no such file or directory")
}
