package node_test

import (
	"bytes"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// The largest configured value and key can be stored and found.
func TestLargestValue(t *testing.T) {
	ctx := testContext(t)
	cfg := openConfig()
	cfg.MaxValueSize = 1 << 20
	stores := []*records.Mem{{MaxValueSize: 1 << 20}, {MaxValueSize: 1 << 20}}
	cfg.Store, cfg.Keystore, cfg.Snapshots = stores[0], stores[0], stores[0]
	a := newNode(t, cfg)
	cfg.Store, cfg.Keystore, cfg.Snapshots = stores[1], stores[1], stores[1]
	cfg.Bootstrap = []peer.AddrInfo{infoOf(a)}
	b := newNode(t, cfg)
	for _, n := range []*node.Node{a, b} {
		require.NoError(t, n.Joined(ctx))
	}

	key := append([]byte("/example/"), bytes.Repeat([]byte("k"), records.MaxValueKeyLen-9)...)
	value := bytes.Repeat([]byte("v"), cfg.MaxValueSize)
	res, err := a.Publish(ctx, key, value)
	require.NoError(t, err)
	require.Equal(t, 1, res.StoredAt)
	require.NoError(t, stores[1].DeleteValue(key))
	got, err := b.Get(ctx, key, 0)
	require.NoError(t, err)
	require.Equal(t, value, got.Value)
}
