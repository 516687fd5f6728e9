package daemon

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The size shown before the work is what Compact finds, and after it what it leaves.
func TestStoreSize(t *testing.T) {
	dir := t.TempDir()
	require.Zero(t, StoreSize(dir))
	require.NoError(t, start(t, dir).Close())
	size := StoreSize(dir)
	before, after, err := CompactStore(dir)
	require.NoError(t, err)
	require.Equal(t, size, before)
	require.Equal(t, StoreSize(dir), after)
}
