package disk

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A row may have maxRow bytes. A longer one is damage.
func TestMaxRow(t *testing.T) {
	bucket, key := []byte("bucket"), []byte("key")
	row := Seal(bucket, key, make([]byte, maxRow+1))
	_, err := Unseal(bucket, key, row)
	require.ErrorIs(t, err, ErrCorrupt)
	payload, err := Unseal(bucket, key, Seal(bucket, key, row[:maxRow]))
	require.NoError(t, err)
	require.Len(t, payload, maxRow-rowHeader)
}

// The reserve is an eighth of a file, at most maxReserve.
func TestMaxReserve(t *testing.T) {
	require.EqualValues(t, maxReserve-1, Reserve(8*maxReserve-8))
	require.EqualValues(t, maxReserve, Reserve(8*maxReserve))
	require.EqualValues(t, maxReserve, Reserve(8*maxReserve+8))
}
