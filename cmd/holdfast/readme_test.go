package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")

// varying matches what differs from run to run in the output that the page shows.
var varying = regexp.MustCompile(`\b12D3KooW\w+|tcp/\d+|\d+(\\\.\d)? ?ms|^\d+|  +`)

// printed returns a pattern for each line of output that a page shows.
func printed(page string) (lines []string) {
	for _, m := range regexp.MustCompile("(?ms)^```text\n(.*?)^```").FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(m[1]) {
			line = regexp.QuoteMeta(strings.TrimSpace(line))
			lines = append(lines, "(?m)^"+varying.ReplaceAllString(line, `.+?`)+`$`)
		}
	}
	return lines
}

// TestReadmeTour runs the blocks of the README's tour in one shell, as a user would paste
// them.
func TestReadmeTour(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	blocks := shellBlock.FindAllSubmatch(readme, -1)
	require.GreaterOrEqual(t, len(blocks), 8)
	script := "set -em\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\ntrap 'exit 1' TERM\n"
	for _, b := range blocks {
		script += string(b[1])
	}
	script += "env | grep -E 'HOLDFAST_(NETWORK|VALUES)' || true\n"
	// The user is in the checkout; the test leaves no files in it.
	script = strings.ReplaceAll(script, "go build -o holdfast ./cmd/holdfast", "(cd "+root+" && go build -o \"$TOUR/holdfast\" ./cmd/holdfast)")
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // its daemons too
	cmd.WaitDelay = patience
	cmd.Env = append(os.Environ(), "TOUR="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
	for _, line := range printed(string(readme)) {
		require.Regexp(t, line, string(out), "the output that the page shows")
	}
	require.Equal(t, 4, strings.Count(string(out), "hello there"), "the gets, and explain")
	require.Equal(t, 6, strings.Count(string(out), "\nok")+1, "six nodes started")
	require.Contains(t, string(out), "stored at 4 peers")
	require.Contains(t, string(out), "LOOKUPS", "top")
	require.Contains(t, string(out), "the value,", "explain")
	require.NotContains(t, string(out), "holdfast: ", "an error")
	for _, name := range []string{"HOLDFAST_NETWORK__", "HOLDFAST_VALUES__"} {
		require.NotContains(t, string(out), name, "a variable that outlives the tour")
	}
	for _, addr := range regexp.MustCompile(`/ip[46]/[^/]+`).FindAllString(string(out), -1) {
		require.Equal(t, "/ip4/127.0.0.1", addr, "the tour is on loopback only")
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
