package config

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mentioned matches what looks like a key of one of the sections, and variables.
func mentioned() *regexp.Regexp {
	var sections []string
	for _, k := range Keys() {
		if k.Section != "" && !slices.Contains(sections, k.Section) {
			sections = append(sections, k.Section)
		}
	}
	return regexp.MustCompile(`(?:^|[^\w./-])((?:` + strings.Join(sections, "|") + `)\.[a-z][a-z_]*\*?|` + envPrefix + `[A-Z_]+__[A-Z_]+)`)
}

// noKeys returns the keys and variables in a text that do not exist, sorted. Files such as
// metrics.md are no keys, values.max_* stands for those that begin so, and
// HOLDFAST_SECTION__KEY for all variables.
func noKeys(text string) (unknown []string) {
	known := func(name string) bool {
		return slices.ContainsFunc(Keys(), func(k Key) bool {
			begin, some := strings.CutSuffix(name, "*")
			return name == k.Path() || name == k.Env() || some && strings.HasPrefix(k.Path(), begin)
		})
	}
	for _, m := range mentioned().FindAllStringSubmatch(strings.ReplaceAll(text, `\_`, "_"), -1) {
		if ext := path.Ext(m[1]); !slices.Contains([]string{".md", ".yml", ".go", ".json"}, ext) && m[1] != "HOLDFAST_SECTION__KEY" && !known(m[1]) {
			unknown = append(unknown, m[1])
		}
	}
	slices.Sort(unknown)
	return slices.Compact(unknown)
}

func TestNoKeys(t *testing.T) {
	require.Empty(t, noKeys("`storage.path`, \"storage.path\", values.max_*, metrics.md, pkg/storage.put, HOLDFAST_STORAGE__PATH, values.raw\\_keys"))
	require.Equal(t, []string{"HOLDFAST_STORAGE__PATHS", "storage.paths", "values.most_*"}, noKeys("storage.paths, `values.most_*`\nHOLDFAST_STORAGE__PATHS=x"))
}

// Every key that a page, a script or a comment of the files for operators names exists.
func TestMentionedKeysExist(t *testing.T) {
	repository, files := os.DirFS("../.."), []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "Dockerfile", "config.toml"}
	for _, dir := range []string{"docs", "deploy"} {
		require.NoError(t, fs.WalkDir(repository, dir, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && strings.HasSuffix(d.Name(), "test") {
				return fs.SkipDir // tests name keys that do not exist
			}
			if err == nil && d.Type().IsRegular() {
				files = append(files, name)
			}
			return err
		}))
	}
	found := 0
	for _, name := range files {
		text, err := fs.ReadFile(repository, name)
		require.NoError(t, err)
		found += len(mentioned().FindAllIndex(text, -1))
		for _, key := range noKeys(string(text)) {
			t.Errorf("%s names %s, which is no setting: `holdfast config default` prints all", name, key)
		}
	}
	require.Greater(t, found, 100, "%d files", len(files))
}
