package mutants

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// differs is the failure of a golden report that differs.
const differs = "-rewrite writes it again"

var mutants = []struct {
	name, file, was, is string // the bug
	scenario, found     string // the scenario that finds it, and the text of its failure
}{
	{
		name: "a bucket takes one peer too many", file: "kbucket/table.go",
		was: "if len(b.entries) >= t.cfg.BucketSize {", is: "if len(b.entries) > t.cfg.BucketSize {",
		scenario: "restart", found: "holds 21 peers",
	},
	{
		name: "buckets are walked as if the target were ours", file: "kbucket/nearest.go",
		was: "if w.diff.Bit(w.i) == 1 {", is: "if w.diff.Bit(w.i) == 0 {",
		scenario: "restart", found: "are as near",
	},
	{
		name: "a silent peer stays in answers", file: "kbucket/table.go",
		was: "i = t.setVerified(b, i, false)\n\te = &b.entries[i]\n\te.failed(now)", is: "e.notBefore = nanos(now.Add(backoffMin))",
		scenario: "restart", found: differs,
	},
	{
		name: "a lookup ends with the first answer of the nearest", file: "lookup/lookup.go",
		was: "if n++; n == l.until {", is: "if n++; n == 1 {",
		scenario: "steady", found: differs,
	},
	{
		name: "a slow peer keeps its place", file: "lookup/lookup.go",
		was: "l.set(c, slow)\n\t\tl.stalled()", is: "l.stalled()",
		scenario: "dead", found: differs,
	},
}

// packages is the directory of this module's packages.
const packages = "../../.."

func TestTheSimulatorFindsBugs(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			file, err := filepath.Abs(filepath.Join(packages, m.file))
			require.NoError(t, err)
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(text), m.was), "%s has changed: update the bug to inject", m.file)

			bug := filepath.Join(t.TempDir(), "bug.go")
			require.NoError(t, os.WriteFile(bug, []byte(strings.Replace(string(text), m.was, m.is, 1)), 0o644))
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: bug}})
			require.NoError(t, err)
			list := filepath.Join(t.TempDir(), "overlay.json")
			require.NoError(t, os.WriteFile(list, overlay, 0o644))

			cmd := exec.Command("go", "test", "-count=1", "-overlay", list, "-run", "^TestGoldenReports$/^"+m.scenario+"$", "./sim")
			cmd.Dir = packages
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the simulator did not find it")
			require.Contains(t, string(out), m.found)
		})
	}
}
