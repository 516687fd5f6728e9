package verdict

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGuideHasTheWords checks that the table in the guide of the status page has exactly the
// words that the page shows, so that a search for one finds it.
func TestGuideHasTheWords(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/status-page.md")
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(guide), "\n## Verdicts\n")
	var named []string
	for _, row := range regexp.MustCompile(`(?m)^\| (.+?) \|`).FindAllStringSubmatch(table, -1)[1:] {
		named = append(named, strings.Split(row[1], ", ")...)
	}
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	words := map[string]bool{}
	for _, name := range sources {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, word := range regexp.MustCompile(`Word:\s+"([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			words[word[1]] = true
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(words)), named)
}
