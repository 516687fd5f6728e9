package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSimulatorDoc runs the commands of docs/SIMULATOR.md as written.
func TestSimulatorDoc(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	doc, err := os.ReadFile(filepath.Join(root, "docs", "SIMULATOR.md"))
	require.NoError(t, err)
	script := "set -e\n"
	for _, b := range shellBlock.FindAllSubmatch(doc, -1) {
		script += string(b[1])
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "holdfast"), "./cmd/holdfast")
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, want := range []string{"A tenth restarts while all nodes search", "256 of 256 lookups", "restored"} {
		require.Contains(t, string(out), want)
	}
	page, err := os.ReadFile(filepath.Join(dir, "restart.html"))
	require.NoError(t, err)
	require.True(t, strings.Contains(string(page), "<svg"))
}
