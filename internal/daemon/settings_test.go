package daemon

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/storage"
)

// readInPlace are the keys that a step of the start reads directly, each with the file and
// the expression that reads it.
var readInPlace = map[string]struct{ file, field string }{
	"config_version":                {"../config/validate.go", "c.ConfigVersion"},
	"network.port":                  {"../config/port.go", "n.Port"},
	"network.listen":                {"daemon.go", "Network.Listen"},
	"network.port_mapping":          {"daemon.go", "Network.PortMapping"},
	"storage.path":                  {"paths.go", "Storage.Path"},
	"storage.compact_above":         {"store.go", "Storage.CompactAbove"},
	"api.socket":                    {"paths.go", "API.Socket"},
	"metrics.listen":                {"web.go", "Metrics.Listen"},
	"routing_api.listen":            {"web.go", "RoutingAPI.Listen"},
	"routing_api.private_addresses": {"web.go", "RoutingAPI.PrivateAddresses"},
	"log.level":                     {"settings.go", "Log.Level"},
	"log.format":                    {"../../cmd/holdfast/connect.go", "Log.Format"},
}

// readFromSection are the keys that are options of a part, and that a function reads which
// gets their section only, each with the file and the expression that reads it.
var readFromSection = map[string]struct{ file, field string }{
	"values.default_ttl": {"../config/config.go", "v.DefaultTTL"},
	"limits.memory":      {"resources.go", "l.Memory"},
}

// Each key reaches a part of the process: it changes the options of a part and is read, or is
// read in place. This test fails for a new key that is not passed on, also if its whole section
// is.
func TestEveryKeyIsCarried(t *testing.T) {
	before, source := carried(t, config.Default()), sourceHere(t)
	for _, k := range config.Keys() {
		c := config.Default()
		changed, _ := config.Load(config.Sources{Flags: []config.Setting{another(k, &c)}}) // other keys may forbid the value
		require.NotEqual(t, k.Value(&c), k.Value(&changed.Config), "another returns the default of %s: give it a case", k.Path())
		_, inPlace := readInPlace[k.Path()]
		switch reaches := before != carried(t, changed.Config); {
		case reaches && inPlace:
			t.Errorf("%s is an option of a part (settings.go): remove it from readInPlace", k.Path())
		case !reaches && !inPlace:
			t.Errorf("%s changes nothing: pass it to a part in settings.go, or name the file that reads it in readInPlace", k.Path())
		}
		requireRead(t, k, source)
	}
	for _, key := range slices.Concat(slices.Collect(maps.Keys(readInPlace)), slices.Collect(maps.Keys(readFromSection))) {
		require.True(t, slices.ContainsFunc(config.Keys(), func(k config.Key) bool { return k.Path() == key }), "%s is no setting", key)
	}
}

// requireRead requires that the file named for k reads it, or for another key this package.
func requireRead(t *testing.T, k config.Key, source string) {
	reader, named := readInPlace[k.Path()]
	if !named {
		reader, named = readFromSection[k.Path()]
	}
	if named {
		file, err := os.ReadFile(reader.file)
		require.NoError(t, err, k.Path())
		require.True(t, regexp.MustCompile(`\b`+regexp.QuoteMeta(reader.field)+`\b`).Match(file), "%s does not read %s", reader.file, k.Path())
		return
	}
	section, name := field(k)
	require.NotEmpty(t, name, "%s has no field in config.Config", k.Path())
	read := regexp.MustCompile(`\b(?i:` + section + `)\.` + name + `\b`) // c.Limits.Memory, c.limits.Memory
	require.True(t, read.MatchString(source), "nothing in internal/daemon reads %s: use it, or name the file that does in readFromSection", k.Path())
}

// field returns the names of a key's section and field in config.Config.
func field(k config.Key) (section, name string) {
	for _, in := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		if in.Tag.Get("toml") != k.Section || in.Type.Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(in.Type) {
			if f.Tag.Get("toml") == k.Name {
				return in.Name, f.Name
			}
		}
	}
	return "", ""
}

// sourceHere returns the source of this package without its tests.
func sourceHere(t *testing.T) string {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var all strings.Builder
	for _, name := range files {
		if !strings.HasSuffix(name, "_test.go") {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			all.Write(text)
		}
	}
	return all.String()
}

// another returns a setting with a different value for a key.
func another(k config.Key, c *config.Config) config.Setting {
	s := config.Setting{Key: k.Path(), Flag: "--test"}
	switch v := k.Raw(c).(type) {
	case bool:
		s.Value = fmt.Sprint(!v)
	case int:
		s.Value = fmt.Sprint(v + 1)
	case config.Size:
		s.Value = (v + 1).String()
	case config.Duration:
		s.Value = (v.Duration + time.Second).String()
	case []string:
		s.List = []string{"/ip4/192.0.2.1/tcp/4011/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"}
	default:
		s.Value = config.RoleFirst
	}
	return s
}

// carried returns the options of all parts of the process, as text.
func carried(t *testing.T, c config.Config) string {
	logs, err := NewLogs(io.Discard, "text", "info")
	require.NoError(t, err)
	bootstrap, err := ParseBootstrap(c.Network.Bootstrap)
	require.NoError(t, err)
	n := nodeConfig(&c, bootstrap, logs)
	n.RPCObserver, n.Logger = nil, nil
	return fmt.Sprintf("%+v\n%+v\n%+v", hostSettings(&c), n, storageOptions(&c))
}

// log.level is applied once, whether it has changed or not.
func TestLevelsAreAppliedOnce(t *testing.T) {
	require.Equal(t, []string{levelsKey}, toApply(nil))
	require.Equal(t, []string{"network.bootstrap", levelsKey}, toApply([]string{"network.bootstrap"}))
	require.Equal(t, []string{levelsKey, "republish.interval"}, toApply([]string{levelsKey, "republish.interval"}))
}

// The database accepts the sizes that the configuration allows, and no others.
func TestBoundsOfTheDatabase(t *testing.T) {
	for _, b := range []struct {
		key          string
		edge, beyond config.Size
		field        func(*config.Config) *config.Size
	}{
		{"storage.max_bytes", storage.MinMaxBytes, storage.MinMaxBytes - 1, func(c *config.Config) *config.Size { return &c.Storage.MaxBytes }},
		{"values.max_size", config.MiB, config.MiB + 1, func(c *config.Config) *config.Size { return &c.Values.MaxSize }},
	} {
		c := config.Default()
		*b.field(&c) = b.edge
		o := storageOptions(&c)
		require.Empty(t, c.Validate(), b.key)
		require.NoError(t, o.Validate(), b.key)
		*b.field(&c) = b.beyond
		o = storageOptions(&c)
		require.Len(t, c.Validate(), 1, b.key)
		require.Equal(t, b.key, c.Validate()[0].Key)
		require.Error(t, o.Validate(), b.key)
	}
}

// The examples in config.toml are valid.
func TestExamplesOfAddresses(t *testing.T) {
	for _, k := range config.Keys() {
		if k.Example == "" {
			continue
		}
		file := filepath.Join(t.TempDir(), "config.toml")
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "[%s]\n%s = %s\n", k.Section, k.Name, k.Example), 0o600))
		l, err := config.Load(config.Sources{File: file})
		require.NoError(t, err, k.Path())
		require.Empty(t, Check(&l.Config), k.Path())
	}
}
