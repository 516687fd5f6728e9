package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/promisetest"
)

func write(t *testing.T, text string) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(f, []byte(text), 0o600))
	return f
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	require.Empty(t, c.Validate())
}

// config.toml in the repository is what Render writes.
func TestFileEqualsDefaults(t *testing.T) {
	const file = "../../config.toml"
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(Render()), 0o644))
	}
	promisetest.Page(t, file, Render())
}

func TestRenderLoadsBackToDefaults(t *testing.T) {
	l, err := Load(Sources{File: write(t, Render())})
	require.NoError(t, err)
	require.Equal(t, Default(), l.Config)
}

func TestPrintLoadsBack(t *testing.T) {
	l, err := Load(Sources{Flags: []Setting{
		{Key: "network.listen", List: []string{`/odd"\` + "\x01é"}, Flag: "--listen"},
		{Key: "values.max_ttl", Value: "30h", Flag: "--x"},
	}})
	require.NoError(t, err)
	back, err := Load(Sources{File: write(t, l.Print(true))})
	require.NoError(t, err)
	require.Equal(t, l.Config, back.Config)
}

func TestEveryKeyIsDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Keys() {
		require.NotEmpty(t, k.Name, k.Path())
		require.NotEmpty(t, k.Doc, k.Path())
		require.NotEmpty(t, k.Unit, k.Path())
		require.False(t, seen[k.Env()], k.Env())
		seen[k.Env()] = true
	}
	require.True(t, seen["HOLDFAST_NETWORK__PROTOCOL_PREFIX"])
}

// An empty list or a listener that is off does not show the format of a value, so its key
// has an example.
func TestExamples(t *testing.T) {
	c := Default()
	for _, k := range Keys() {
		hidden := k.Value(&c) == "[]" || k.Value(&c) == `"off"`
		require.Equal(t, hidden, k.Example != "", k.Path())
		if hidden {
			l, err := Load(Sources{File: write(t, "["+k.Section+"]\n"+k.Name+" = "+k.Example+"\n")})
			require.NoError(t, err)
			require.Equal(t, k.Example, k.Value(&l.Config))
			require.Contains(t, Render(), "# Example: "+k.Name+" = "+k.Example+"\n"+k.Name+" = ")
		}
	}
}

// The comments do not repeat what the values show.
func TestFileHasNoNoise(t *testing.T) {
	require.NotContains(t, Render(), "Unit:")
	require.NotContains(t, Render(), "Default:")
}

func TestPrecedenceAndOrigin(t *testing.T) {
	file := write(t, "[network]\nmode = \"client\"\nbootstrap = [\"/a\"]\n\n[republish]\ninterval = \"1h\"\n[log]\nlevel = \"warn\"\n")
	l, err := Load(Sources{
		File:  file,
		Env:   []string{"HOLDFAST_NETWORK__MODE=auto", "HOLDFAST_REPUBLISH__INTERVAL=2h", "HOLDFAST_CONFIG=x", "PATH=/bin"},
		Flags: []Setting{{Key: "network.mode", Value: "server", Flag: "--mode"}},
	})
	require.NoError(t, err)
	require.Equal(t, "server", l.Config.Network.Mode)
	require.Equal(t, 2*time.Hour, l.Config.Republish.Interval.Duration)
	require.Equal(t, []string{"/a"}, l.Config.Network.Bootstrap)
	require.Equal(t, "flag --mode", l.Origin("network.mode").String())
	require.Equal(t, "env HOLDFAST_REPUBLISH__INTERVAL", l.Origin("republish.interval").String())
	require.Equal(t, "file "+file+":8", l.Origin("log.level").String())
	require.Equal(t, "file "+file+":3", l.Origin("network.bootstrap").String())
	require.Equal(t, "default", l.Origin("snapshot.interval").String())
	require.Contains(t, l.Print(true), "mode = \"server\"  # flag --mode\n")
}

func TestEnvLists(t *testing.T) {
	l, err := Load(Sources{Env: []string{
		"HOLDFAST_NETWORK__BOOTSTRAP=/a, /b,", "HOLDFAST_VALUES__UNVALIDATED_NAMESPACES=example",
		"HOLDFAST_VALUES__RAW_KEYS=true", "HOLDFAST_STORAGE__MAX_BYTES=2GiB", "HOLDFAST_NETWORK__ANNOUNCE=", "HOLDFAST_LIMITS__CONNECTIONS_LOW=7",
	}})
	require.NoError(t, err)
	require.Equal(t, []string{"/a", "/b"}, l.Config.Network.Bootstrap)
	require.Equal(t, []string{}, l.Config.Network.Announce)
	require.Equal(t, []string{"example"}, l.Config.Values.UnvalidatedNamespaces)
	require.True(t, l.Config.Values.RawKeys)
	require.Equal(t, 2*GiB, l.Config.Storage.MaxBytes)
	require.Equal(t, 7, l.Config.Limits.ConnectionsLow)
}

func TestFileErrorsNameTheirPlace(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       error
		says       []string
	}{
		{"unknown key", "[network]\n\nlissten = []\n", ErrUnknownKey, []string{":3: network.lissten", "did you mean network.listen?"}},
		{"unknown section", "[nettwork]\nlisten = []\n", ErrUnknownKey, []string{":1: nettwork", "config default"}},
		{"key in the wrong section", "[metrics]\nbootstrap = []\n", ErrUnknownKey, []string{":2: metrics.bootstrap", "network.bootstrap"}},
		{"two unknown keys", "[log]\na = 1\nb = 2\n", ErrUnknownKey, []string{":2: log.a", ":3: log.b"}},
		{"syntax", "[network\n", ErrFile, []string{":1:"}},
		{"wrong type", "[network]\nlisten = 3\n", ErrFile, []string{":2:", "listen = 3"}},
		{"text as number", "[limits]\nconnections_low = \"x\"\n", ErrFile, []string{":2:19: limits.connections_low takes a whole number", "~~~ limits.connections_low takes"}},
		{"number as text", "[network]\nmode = 3\n", ErrFile, []string{":2:", "network.mode takes a text in quotes"}},
		{"text as list", "[network]\nlisten = \"x\"\n", ErrFile, []string{":2:", "network.listen takes a list"}},
		{"text as bool", "[values]\nraw_keys = \"x\"\n", ErrFile, []string{":2:", "values.raw_keys takes true or false"}},
		{"number in a list", "[network]\nlisten = [\n\"a\",\n3]\n", ErrFile, []string{":4:", "network.listen takes a list of texts"}},
		{"text in an inline table", "limits = {connections_low = 5, connections_high = \"y\"}\n", ErrFile, []string{":1:51: limits.connections_high takes"}},
		{"a key twice", "[network]\nmode = \"server\"\nmode = \"client\"\n", ErrFile, []string{":3:1: key mode is already defined"}},
		{"a number out of range", "[limits]\nconnections_low = 99999999999999999999\n", ErrFile, []string{":2:19: decimal number is too large"}},
		{"fraction as size", "[storage]\nmax_bytes = 3.5\n", ErrFile, []string{":2:", "storage.max_bytes"}},
		{"number as duration", "[republish]\ninterval = 22\n", ErrFile, []string{":2:"}},
		{"bad duration", "[republish]\ninterval = \"22\"\n", ErrFile, []string{":2:", `"22" is not a duration`}},
		{"too long duration", "[republish]\ninterval = \"2562048h\"\n", ErrFile, []string{":2:", `"2562048h" is too long`, LongestDuration}},
		{"bad size", "[storage]\nmax_bytes = \"lots\"\n", ErrFile, []string{":2:", `"lots" is not a size`}},
		{"violation", "[refresh]\ninterval = \"1ms\"\n", ErrInvalid, []string{"refresh.interval is 1ms", ":2)"}},
		{"unknown key and violation", "[refresh]\ninterval = \"1ms\"\nx = 1", ErrUnknownKey, []string{"refresh.interval is 1ms", ":3: refresh.x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(Sources{File: write(t, c.text)})
			require.ErrorIs(t, err, c.want)
			for _, s := range c.says {
				require.Contains(t, err.Error(), s)
			}
			require.NotContains(t, err.Error(), "struct field")
			require.NotContains(t, err.Error(), "of type")
		})
	}
}

// All mistakes of a file are reported together, until the first that makes it no TOML.
func TestFileErrorsTogether(t *testing.T) {
	const text = `
[limits]
connections_low = "x" # a number
[network]
mode = 3
listn = []
listen = [
  "/ip4/127.0.0.1/tcp/0",
  4,
]
[refresh]
interval = "1ms"
[republish]
interval = 22
[storage]
max_bytes = "lots"
path = "/kept"`
	l, err := Load(Sources{File: write(t, text)})
	require.ErrorIs(t, err, ErrFile)
	require.ErrorIs(t, err, ErrUnknownKey)
	require.ErrorIs(t, err, ErrInvalid)
	for _, want := range []string{
		":3:19: limits.connections_low takes a whole number", ":5:8: network.mode takes a text", ":6: network.listn",
		":9:3: network.listen takes a list of texts", "refresh.interval is 1ms", ":14: republish.interval", `"lots" is not a size`,
	} {
		require.ErrorContains(t, err, want)
	}
	require.Equal(t, "/kept", l.Config.Storage.Path)
	require.Empty(t, l.File)

	for _, invalid := range []string{text + "\n[values", "[[network]]\nmode = 3\n"} {
		l, err = Load(Sources{File: write(t, invalid)})
		require.ErrorIs(t, err, ErrFile)
		require.Equal(t, Default(), l.Config)
	}
}

// A rule that compares two keys is not applied if one of them has a value that cannot be
// decoded: its default takes the place of what the user wrote.
func TestRulesOnlyOnWhatIsWritten(t *testing.T) {
	const low, high, ttl = "HOLDFAST_LIMITS__CONNECTIONS_LOW", "HOLDFAST_LIMITS__CONNECTIONS_HIGH", "HOLDFAST_STORAGE__PROVIDER_TTL"
	for name, c := range map[string]struct {
		file string
		env  string
		want []string // keys of the violations
	}{
		"text as number":           {"[limits]\nconnections_low = \"100\"\nconnections_high = 300\n", "", nil},
		"other rules":              {"[limits]\nconnections_low = \"100\"\nconnections_high = 300\nmemory = 1\n", "", []string{"limits.memory"}},
		"number as duration":       {"[values]\nmax_ttl = 1\ndefault_ttl = \"72h\"\n", "", nil},
		"number as text":           {"[network]\nmode = 3\nlisten = []\n", "", nil},
		"inline table":             {"limits = {connections_low = 100, memory = false}\n", high + "=300", nil},
		"section that is a text":   {"limits = \"x\"\n", high + "=300", nil},
		"variable":                 {"[limits]\nconnections_high = 300\n", low + "=x", []string{"limits.connections_low"}},
		"variable over its file":   {"[limits]\nconnections_low = 0\n", low + "=x", []string{"limits.connections_low"}},
		"variable for another key": {"[storage]\nprovider_ttl = \"1h\"\n[republish]\ninterval = \"2h\"\n", ttl + "=x", []string{"storage.provider_ttl"}},
		"variable that corrects":   {"[limits]\nconnections_low = \"x\"\nconnections_high = 300\n", low + "=350", []string{"limits.connections_high"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Sources{File: write(t, c.file), Env: []string{c.env}})
			require.Error(t, err)
			var found Violations
			errors.As(err, &found)
			var got []string
			for _, v := range found {
				got = append(got, v.Key)
			}
			require.Equal(t, c.want, got, "%v", err)
		})
	}
}

// A variable with one underscore where two belong would be ignored without a word.
func TestEnvWithOneUnderscore(t *testing.T) {
	for _, k := range Keys() {
		if k.Env() == "" {
			continue
		}
		name := strings.ReplaceAll(k.Env(), "__", "_")
		_, err := Load(Sources{Env: []string{name + "=client"}})
		require.ErrorIs(t, err, ErrUnknownKey, name)
		require.ErrorContains(t, err, "environment variable "+name+"; did you mean "+k.Env()+", with two underscores?")
	}
	_, err := Load(Sources{Env: []string{"HOLDFAST_CONFIG=x", "HOLDFAST_HOME=y"}})
	require.NoError(t, err, "not of ours")
}

func TestMissingFile(t *testing.T) {
	_, err := Load(Sources{File: "/nowhere/config.toml"})
	require.ErrorIs(t, err, ErrFile)
	require.Contains(t, err.Error(), "/nowhere/config.toml")
}

func TestEnvAndFlagErrors(t *testing.T) {
	_, err := Load(Sources{
		Env:   []string{"HOLDFAST_NETWORK__LISTN=x", "HOLDFAST_VALUES__RAW_KEYS=maybe"},
		Flags: []Setting{{Key: "network.mode", Value: "boss", Flag: "--mode"}, {Key: "no.such", Flag: "--no"}},
	})
	require.ErrorIs(t, err, ErrUnknownKey)
	require.ErrorIs(t, err, ErrInvalid)
	for _, s := range []string{"HOLDFAST_NETWORK__LISTN; did you mean network.listen?", `values.raw_keys is "maybe", which is neither true nor false (from env HOLDFAST_VALUES__RAW_KEYS)`, `network.mode is "boss"`, "(from flag --mode)", "flag --no"} {
		require.Contains(t, err.Error(), s)
	}
}

// Errors are values, so that callers do not need to parse text.
func TestViolationsAreValues(t *testing.T) {
	file := write(t, "[refresh]\ninterval = \"1ms\"\n")
	l, err := Load(Sources{
		File: file,
		Env:  []string{"HOLDFAST_LIMITS__CONNECTIONS_LOW=many"},
		Flags: []Setting{
			{Key: "network.mode", Value: "boss", Flag: "--mode"}, {Key: "limits.connections_low", Value: "5", Flag: "--low"},
			{Key: "values.max_size", Value: "lots", Flag: "--size"}, {Key: "network.security", List: []string{"tls", "tls"}, Flag: "--security"},
		},
	})
	var found Violations
	require.ErrorAs(t, err, &found)
	require.ErrorIs(t, err, ErrInvalid)
	require.Equal(t, 5, l.Config.Limits.ConnectionsLow)
	require.Equal(t, Violations{
		{"limits.connections_low", `is "many", which is not a number`, "", Origin{Source: "env", Name: "HOLDFAST_LIMITS__CONNECTIONS_LOW"}, nil},
		{"values.max_size", `is "lots", which is not a size`, `write for instance "512MiB", "10KiB" or a number of bytes`, Origin{Source: "flag", Name: "--size"}, nil},
		{"network.mode", `is "boss"`, "it is auto, client or server", Origin{Source: "flag", Name: "--mode"}, nil},
		{"network.security", `has "tls" twice`, "", Origin{Source: "flag", Name: "--security"}, nil},
		{"refresh.interval", "is 1ms", "it is from 1s to 24h", Origin{Source: "file", Name: file, Line: 2}, nil},
	}, found)
	require.Equal(t, "invalid configuration: refresh.interval is 1ms; it is from 1s to 24h (from file "+file+":2)", found[4:].Error())
	require.Equal(t, `network.security has "tls" twice (from flag --security)`, found[3].String())
}

func TestValidateReportsEverything(t *testing.T) {
	c := Default()
	c.ConfigVersion = 2
	c.Network.ProtocolPrefix = "ipfs/"
	c.Network.Mode = "x"
	c.Network.Listen = nil
	c.Values.MaxTTL.Duration = 49 * time.Hour
	c.Values.DefaultTTL.Duration = 50 * time.Hour
	c.Values.MaxSize = 0
	c.Values.UnvalidatedNamespaces = []string{"pk", "a/b"}
	c.Storage.ProviderTTL.Duration = time.Hour
	c.Storage.MaxBytes = -1
	c.Storage.ExpiryInterval.Duration = 0
	c.Refresh.Interval.Duration = 0
	c.Snapshot.Interval.Duration = 25 * time.Hour
	c.Metrics.Listen = "9474"
	c.Limits = Limits{ConnectionsLow: 0, ConnectionsHigh: 0, Memory: 1}
	c.Log = Log{Level: "loud", Format: "xml"}
	have := map[string]bool{}
	for _, v := range c.Validate() {
		have[v.Key] = true
	}
	for _, k := range []string{
		"config_version", "network.protocol_prefix", "network.mode", "network.listen", "values.max_ttl", "values.default_ttl",
		"values.max_size", "values.unvalidated_namespaces", "storage.provider_ttl", "storage.max_bytes", "storage.expiry_interval",
		"republish.interval", "refresh.interval", "snapshot.interval", "metrics.listen", "limits.connections_low",
		"limits.connections_high", "limits.connections_per_address", "limits.memory", "log.level", "log.format",
	} {
		if k == "storage.provider_ttl" {
			continue // an hour is allowed; it makes republish.interval too long
		}
		require.True(t, have[k], k)
	}
}

func TestSecurityNames(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"noise"}, ""},
		{[]string{"tls", "noise"}, ""},
		{nil, "is empty"},
		{[]string{"TLS"}, `has "TLS"`},
		{[]string{"tls", "tls"}, `has "tls" twice`},
	} {
		conf := Default()
		conf.Network.Security = c.names
		found := conf.Validate()
		if c.want == "" {
			require.Empty(t, found)
			continue
		}
		require.Len(t, found, 1)
		require.Equal(t, "network.security", found[0].Key)
		require.Contains(t, found[0].What, c.want)
	}
}

func TestRepublishBeforeExpiry(t *testing.T) {
	c := Default()
	c.Values.MaxTTL.Duration = 22 * time.Hour
	require.Len(t, c.Validate(), 1)
	require.Equal(t, "republish.interval", c.Validate()[0].Key)
	c.Republish.Interval.Duration = time.Hour
	require.Empty(t, c.Validate())
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "holdfast"), 0o755))
	file := filepath.Join(dir, "holdfast", "config.toml")
	env := map[string]string{"XDG_CONFIG_HOME": dir}
	get := func(k string) string { return env[k] }
	if _, err := os.Stat("/etc/holdfast/config.toml"); err == nil {
		t.Skip("this machine has /etc/holdfast/config.toml")
	}
	require.Empty(t, Find("", get))
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Equal(t, file, Find("", get))
	env["HOLDFAST_CONFIG"] = "/b"
	require.Equal(t, "/b", Find("", get))
	require.Equal(t, "/a", Find("/a", get))
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "4096": 4 * KiB, "512MiB": 512 * MiB, "1 GiB": GiB, "1GB": 1e9, "2kB": 2000, "3B": 3, "8TiB": 8 * TiB} {
		var s Size
		require.NoError(t, s.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, s, text)
	}
	for _, text := range []string{"", "-1", "1.5GiB", "GiB", "9999999TiB", "1Mib"} {
		var s Size
		require.Error(t, s.UnmarshalText([]byte(text)), text)
	}
	for d, want := range map[time.Duration]string{0: "0s", 22 * time.Hour: "22h", 90 * time.Second: "1m30s", 90 * time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s"} {
		text, err := Duration{d}.MarshalText()
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
}

func TestParseLevels(t *testing.T) {
	root, subs, err := ParseLevels("warn, node=debug,libp2p/swarm2=error")
	require.NoError(t, err)
	require.Equal(t, "WARN", root.String())
	require.Equal(t, "DEBUG", subs["node"].String())
	require.Equal(t, "ERROR", subs["libp2p/swarm2"].String())
	_, _, err = ParseLevels("info,node=loud")
	require.ErrorContains(t, err, `"loud" is not a level`)
}

// A document either fails with an error that has a text, or its configuration can be
// printed and parsed back to the same one.
func FuzzParse(f *testing.F) {
	f.Add(Render())
	f.Add("[network]\nlisten = [\"\\u0000\"]\n")
	f.Add("network.mode = 'client'\n[values]\nmax_size = 3")
	f.Add("network = {mode = 'client', x = 3}")
	f.Add("[[network]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := &Loaded{Config: Default(), origins: map[string]Origin{}}
		if _, err := l.parse("f", []byte(text)); err != nil {
			require.NotEmpty(t, strings.TrimSpace(err.Error()))
			return
		}
		if len(l.Config.Validate()) > 0 {
			return
		}
		back := &Loaded{Config: Default(), origins: map[string]Origin{}}
		_, err := back.parse("f", []byte(l.Print(true)))
		require.NoError(t, err, l.Print(true))
		require.Equal(t, l.Config, back.Config)
	})
}

// Text sets every key. A field of a type that text cannot set is a mistake of ours.
func TestTextSetsEveryKey(t *testing.T) {
	for _, k := range keys {
		changed := false
		for _, text := range []string{"7", "8", "7s", "8s", "7MiB", "8MiB", "true", "false"} {
			c := Default()
			changed = changed || k.set(&c, text) == nil && !reflect.DeepEqual(Default(), c)
		}
		require.True(t, changed, "text does not set %s: Key.set needs a case for its type", k.Path())
	}
	section := Key{Section: "log", Name: "all", index: keys[len(keys)-1].index[:1]}
	require.Panics(t, func() { c := Default(); section.set(&c, "x") })
}
