package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The dashboard in the repository is the one that this program writes.
func TestDashboard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holdfast.json")
	require.NoError(t, run([]string{path}))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	want, err := os.ReadFile("../holdfast.json")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "go generate ./deploy/grafana/generate writes it again")
}

func TestArguments(t *testing.T) {
	require.ErrorContains(t, run(nil), "one argument is the file to write, not 0")
	require.ErrorContains(t, run([]string{"a", "b"}), "not 2")
	require.ErrorIs(t, run([]string{filepath.Join(t.TempDir(), "no", "such")}), os.ErrNotExist)
}
