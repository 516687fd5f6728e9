package node_test

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
)

func TestExplain(t *testing.T) {
	ctx := testContext(t)
	cfg := openConfig()
	cfg.DHT.Trace = true
	nodes := network(t, 4, cfg)
	key := []byte("/example/k")
	_, err := nodes[0].Publish(ctx, key, []byte("v"))
	require.NoError(t, err)

	got, err := nodes[1].Explain(ctx, dht.FindValue, key)
	require.NoError(t, err)
	require.Equal(t, dht.OutcomeOK, got.Stats.Outcome)
	require.Equal(t, dht.EndNearest, got.End)
	require.Len(t, got.Closest, 3)
	require.Equal(t, "v", string(got.Value))
	answered := 0
	for _, s := range got.Steps {
		if s.State == dht.StepAnswered {
			answered++
			require.Equal(t, dht.ValueBest, s.Value)
			require.Positive(t, s.RTT)
			require.GreaterOrEqual(t, s.Ended-s.Sent, s.RTT)
		}
	}
	require.Equal(t, 3, answered)
	require.Contains(t, nodes[1].Traces(1000), got)
	require.True(t, got.OwnValue, "the nearest peers store it, and these are all")

	_, err = nodes[2].ProvideKey(ctx, []byte("content"))
	require.NoError(t, err)
	provided, err := nodes[1].Explain(ctx, dht.FindProviders, []byte("content"))
	require.NoError(t, err)
	require.Len(t, provided.Found, 1)
	require.Equal(t, nodes[2].Host().ID(), peer.ID(provided.Found[0].ID))
	require.NotEmpty(t, provided.Found[0].Addrs)

	none, err := nodes[1].Explain(ctx, dht.FindProviders, []byte("nothing"))
	require.NoError(t, err)
	require.Equal(t, dht.OutcomeNotFound, none.Stats.Outcome)

	last := nodes[0].Traces(1000)
	require.NotEmpty(t, last)
	stored := false
	for _, x := range last {
		stored = stored || x.Stats.Kind == dht.StoreValue && x.Stats.StoredAt == 3
	}
	require.True(t, stored)

	_, err = nodes[1].Explain(ctx, dht.FindValue, nil)
	require.ErrorIs(t, err, node.ErrInvalidKey)
	_, err = nodes[1].Explain(ctx, dht.FindProviders, nil)
	require.ErrorIs(t, err, node.ErrKeyLength)
	_, err = nodes[1].Explain(ctx, dht.StoreValue, key)
	require.ErrorContains(t, err, "not a lookup")
}

func TestExplainAlone(t *testing.T) {
	cfg := openConfig()
	cfg.DHT.Trace = true
	got, err := newNode(t, cfg).Explain(testContext(t), dht.FindClosest, []byte("k"))
	require.NoError(t, err)
	require.Equal(t, dht.EndNobody, got.End)
	_, err = newNode(t, openConfig()).Explain(testContext(t), dht.FindClosest, []byte("k"))
	require.Error(t, err, "no traces are kept")
}
