package node_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
)

func TestStatusBuckets(t *testing.T) {
	nodes := network(t, 3, openConfig())
	_, err := nodes[0].ProvideKey(testContext(t), []byte("content"))
	require.NoError(t, err)
	s, ring := nodes[0].Status(), nodes[0].Ring(16)
	peers, keys := 0, 0
	for i, b := range s.Buckets {
		require.Equal(t, i, b.CPL)
		require.Equal(t, b.Peers, b.Verified)
		peers += b.Peers
	}
	require.Equal(t, 2, peers)
	require.Equal(t, s.TablePeers, peers)
	require.Len(t, ring, 16)
	for _, sector := range ring {
		keys += sector.Keys
	}
	require.Equal(t, 1, keys)
	require.NotZero(t, s.Buckets[len(s.Buckets)-1].Peers)

	alone := newNode(t, node.Config{})
	require.Empty(t, alone.Status().Buckets)
	require.Len(t, alone.Ring(4), 4)
}
