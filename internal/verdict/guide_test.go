package verdict

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGuideNamesEveryWord checks that the guide of the status page has the words that the page
// shows, so that a search for one finds it.
func TestGuideNamesEveryWord(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/status-page.md")
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(guide), "\n## Verdicts\n")
	named := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (.+?) \|`).FindAllStringSubmatch(table, -1) {
		for word := range strings.SplitSeq(row[1], ", ") {
			named[word] = true
		}
	}
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	words := 0
	for _, name := range sources {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, word := range regexp.MustCompile(`Word:\s+"([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			require.True(t, named[word[1]], "the guide does not name %q", word[1])
			words++
		}
	}
	require.GreaterOrEqual(t, words, 20)
}
