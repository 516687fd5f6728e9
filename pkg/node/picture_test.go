package node_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
)

func TestPicture(t *testing.T) {
	nodes := network(t, 3, openConfig())
	_, err := nodes[0].ProvideKey(testContext(t), []byte("content"))
	require.NoError(t, err)
	buckets, ring := nodes[0].Picture(16)
	peers, keys := 0, 0
	for i, b := range buckets {
		require.Equal(t, i, b.CPL)
		require.Equal(t, b.Peers, b.Verified)
		peers += b.Peers
	}
	require.Equal(t, 2, peers)
	require.Len(t, ring, 16)
	for _, s := range ring {
		keys += s.Keys
	}
	require.Equal(t, 1, keys)
	require.NotZero(t, buckets[len(buckets)-1].Peers)

	buckets, ring = newNode(t, node.Config{}).Picture(4)
	require.Empty(t, buckets)
	require.Len(t, ring, 4)
}
