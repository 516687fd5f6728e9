package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
)

// TestAloneForDays leaves a node without peers for longer than any record lives. The node
// still has what it publishes, and publishes it when a peer appears.
func TestAloneForDays(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		ctx := context.Background()
		cfg := node.Config{UnvalidatedNamespaces: []string{"example"}}
		n := nodeOn(t, h1, cfg)
		_, err := n.Publish(ctx, []byte("/example/stays"), []byte("v"))
		require.NoError(t, err)
		_, err = n.PublishFor(ctx, []byte("/example/ends"), []byte("v"), time.Hour)
		require.NoError(t, err)
		_, err = n.ProvideKey(ctx, []byte("content"))
		require.NoError(t, err)

		for range 5 {
			time.Sleep(24 * time.Hour)
			got, err := n.Get(ctx, []byte("/example/stays"), 0)
			require.NoError(t, err)
			require.Equal(t, "v", string(got.Value))
			require.Len(t, providersOf(t, n, []byte("content")), 1)
			_, err = n.Get(ctx, []byte("/example/ends"), 0)
			require.Error(t, err)
		}

		cfg, mem := keeping(cfg)
		cfg.Bootstrap = []peer.AddrInfo{infoOf(n)}
		nodeOn(t, h2, cfg)
		time.Sleep(time.Minute)
		_, err = mem.Value(time.Now(), []byte("/example/stays"))
		require.NoError(t, err, "published")
		ps, err := mem.Providers(nil, time.Now(), []byte("content"), 1)
		require.NoError(t, err)
		require.Len(t, ps, 1)
	})
}

// TestFindsThoseItLost has the only peer of a node leave and return hours later. The node
// asks the peers of its own snapshot, although it started without one.
func TestFindsThoseItLost(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		first := nodeOn(t, h1, node.Config{})
		second := nodeOn(t, h2, node.Config{Bootstrap: []peer.AddrInfo{infoOf(first)}})
		time.Sleep(2 * time.Minute)
		require.Equal(t, 1, first.Status().VerifiedPeers)
		require.NoError(t, second.Close())
		time.Sleep(3 * time.Hour)
		require.Zero(t, first.Status().VerifiedPeers)

		require.NoError(t, h2.Network().ClosePeer(h1.ID())) // so that identify does not report the peer
		time.Sleep(time.Second)
		nodeOn(t, h2, node.Config{})
		time.Sleep(5 * time.Minute)
		require.Equal(t, 1, first.Status().VerifiedPeers)
	})
}
