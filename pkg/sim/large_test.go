//go:build large

package sim

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// shortened are the scenarios in which days pass, as they run with 2,000 nodes.
var shortened = map[string]string{
	"forget":  "hours=30 liveness=3h refresh=3h",
	"renew":   "hours=25 liveness=3h refresh=3h",
	"weibull": "hours=22 liveness=3h refresh=3h",
	"cycle":   "hours=0.5",
}

// TestLargeReports takes minutes: it is a step of .ci/run of its own.
func TestLargeReports(t *testing.T) {
	for _, name := range Scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := prepareWith(t, name, "nodes=2000 "+shortened[name])
			require.NoError(t, w.Run(nil))
			require.Empty(t, w.Violations())
			var out bytes.Buffer
			require.NoError(t, w.Report().Print(&out))
			golden(t, filepath.Join("2000", name), out.String())
		})
	}
}
