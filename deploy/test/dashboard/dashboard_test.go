package dashboard_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/deploy/test/dashboard"
)

const file = "../../grafana/holdfast.json"

var update = flag.Bool("update", false, "rewrite the dashboard")

// TestGolden checks that the JSON file is what this package generates.
func TestGolden(t *testing.T) {
	got, err := dashboard.JSON()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "go test ./dashboard -run TestGolden -update rewrites it")
}
