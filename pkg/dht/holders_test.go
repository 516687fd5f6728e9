package dht

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnoughHolders(t *testing.T) {
	for sent, want := range []int{0, 1, 1, 2, 2, 3, 3} {
		require.Equal(t, want, EnoughHolders(sent), "of %d", sent)
	}
	require.Equal(t, 10, EnoughHolders(Replicas))
}
