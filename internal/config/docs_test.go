package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/promisetest"
)

// The marks around the table of keys in docs/reference/config.md.
const (
	tableBegin = "<!-- config: written by UPDATE=1 go test ./internal/config -->\n"
	tableEnd   = "<!-- /config -->\n"
)

// takes returns the kind of value that a key takes: "duration", "list of multiaddrs".
func takes(k Key) string {
	if c := Default(); k.field(&c).Kind() == reflect.Slice {
		return "list of " + k.Unit
	}
	return k.Unit
}

// table is every key as Markdown.
func table() string {
	var b strings.Builder
	c := Default()
	b.WriteString("| key | environment | what | unit | default | reloads |\n|---|---|---|---|---|---|\n")
	for _, k := range Keys() {
		reloads, env := "", "`"+k.Env()+"`"
		if k.Reload {
			reloads = "yes"
		}
		if k.Env() == "" {
			env = ""
		}
		row := fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |", k.Path(), env, summary(k.Doc), takes(k), defaultText(k, &c), reloads)
		b.WriteString(strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(row) + "\n")
	}
	return b.String()
}

// summary returns the first sentence of a text, and the sentence that says what 0 or an
// empty value means.
func summary(doc string) string {
	sentences := strings.Split(strings.TrimSuffix(doc, "."), ". ")
	kept := sentences[:1]
	for _, s := range sentences[1:] {
		if strings.HasPrefix(s, "0: ") || strings.HasPrefix(s, "0s: ") || strings.HasPrefix(s, "Empty: ") {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, ". ")
}

// The table says what a default of 0, 0s or "" means.
func TestEmptyDefaultsAreExplained(t *testing.T) {
	c := Default()
	for _, k := range Keys() {
		if text := k.Value(&c); text == `"0"` || text == `"0s"` || text == `""` {
			require.Contains(t, summary(k.Doc), ". ", k.Path())
		}
	}
	require.Equal(t, "Memory. 0s: all", summary("Memory. An aside. 0s: all. The end."))
	require.Equal(t, "Memory", summary("Memory. 10 others."))
}

// defaultText returns the default of a key. Lists have the form that environment
// variables take.
func defaultText(k Key, c *Config) string {
	list, ok := k.Raw(c).([]string)
	switch {
	case !ok:
		return "`" + k.Value(c) + "`"
	case len(list) == 0:
		return "none"
	}
	return "`" + strings.Join(list, ",") + "`"
}

// The table in docs/reference/config.md lists exactly the existing keys.
func TestReference(t *testing.T) {
	const file = "../../docs/reference/config.md"
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(data), tableBegin)
	require.True(t, ok, "%s has no %q", file, tableBegin)
	_, after, ok := strings.Cut(rest, tableEnd)
	require.True(t, ok, "%s has no %q", file, tableEnd)
	want := before + tableBegin + table() + tableEnd + after
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
	}
	promisetest.Page(t, file, want)
}

// tomlBlock matches a block of configuration in a page.
var tomlBlock = regexp.MustCompile("(?ms)^```toml\n(.*?)^```$")

// Every configuration in the guides is valid.
func TestConfigurationsInGuides(t *testing.T) {
	pages, err := filepath.Glob("../../docs/guides/*.md")
	require.NoError(t, err)
	checked := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range tomlBlock.FindAllSubmatch(text, -1) {
			file := filepath.Join(t.TempDir(), "config.toml")
			require.NoError(t, os.WriteFile(file, m[1], 0o644))
			_, err := Load(Sources{File: file})
			require.NoError(t, err, "%s:\n%s", page, m[1])
			checked++
		}
	}
	require.Positive(t, checked)
}
