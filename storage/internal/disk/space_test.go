package disk

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TryWrite leaves no file behind, and replaces one that a crash left.
func TestTryWrite(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, spaceName), make([]byte, 10), 0o600)) // left by a crash
	require.NoError(t, TryWrite(dir, 5))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	require.ErrorIs(t, TryWrite(filepath.Join(dir, "absent"), 5), os.ErrNotExist)
}
