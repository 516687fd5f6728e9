package disk

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMostBytes checks that bbolt's mappings of the three files leave half of a 32-bit
// address space for the heap.
func TestMostBytes(t *testing.T) {
	require.Equal(t, int64(math.MaxInt64), mostBytes(64))
	state, log, runs := mostBytes(32)/2, mostBytes(32)/8, mostBytes(32)*3/8
	mapped := func(bytes int64) int64 { // rounded up as bbolt does
		size := int64(1)
		for size < bytes {
			size *= 2
		}
		return size
	}
	require.LessOrEqual(t, mapped(state)+mapped(log)+mapped(runs), int64(5<<28))
	require.EqualValues(t, 1<<30, mapSize(1<<30))
	require.LessOrEqual(t, mapSize(math.MaxInt64), math.MaxInt)
}
