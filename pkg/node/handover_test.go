package node_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

func manyKeys(n int) [][]byte {
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "content %d", i)
	}
	return keys
}

// withMem is a configuration whose stores outlive the node.
func withMem() (node.Config, *records.Mem) {
	mem := records.NewMem(nil)
	cfg := openConfig()
	cfg.Store, cfg.Keystore, cfg.Snapshots = mem, mem, mem
	return cfg, mem
}

// Keys handed over are announced by the schedule, each once, however often they are
// handed over.
func TestProvideLater(t *testing.T) {
	ctx := testContext(t)
	cfg, held := withMem()
	other := newNode(t, cfg)
	cfg, _ = withMem()
	n := newNode(t, cfg)
	reached, errs := n.Connect(ctx, []peer.AddrInfo{infoOf(other)})
	require.Empty(t, errs)
	require.Len(t, reached, 1)
	waitFor(t, func() bool { return n.Status().VerifiedPeers == 1 })

	keys := manyKeys(40)
	h, err := n.ProvideLater(ctx, keys)
	require.NoError(t, err)
	require.Equal(t, node.HandedOver{New: len(keys)}, h)
	waitFor(t, func() bool { return n.Status().Republish.Untold == 0 })
	s := n.Status().Republish
	require.Equal(t, len(keys), s.Keys)
	require.EqualValues(t, len(keys), s.Done)
	require.Zero(t, s.Failed)
	for _, key := range keys {
		waitFor(t, func() bool {
			ps, err := held.Providers(nil, time.Now(), key, 1)
			return err == nil && len(ps) == 1 && ps[0].ID == kad.PeerID(n.Host().ID())
		})
	}
	more := append(manyKeys(len(keys)), []byte("another"))
	h, err = n.ProvideLater(ctx, more)
	require.NoError(t, err)
	require.Equal(t, node.HandedOver{New: 1, Known: len(keys)}, h)
	waitFor(t, func() bool { return n.Status().Republish.Untold == 0 })
	require.EqualValues(t, len(more), n.Status().Republish.Done)
}

// What was handed over while nobody was there is still to be announced after a
// restart, and can be taken back.
func TestHandedOverKeysAreKept(t *testing.T) {
	ctx := testContext(t)
	cfg, mem := withMem()
	keys := manyKeys(3000)
	n := newNode(t, cfg)
	h, err := n.ProvideLater(ctx, keys)
	require.NoError(t, err)
	require.Equal(t, len(keys), h.New)
	require.NoError(t, n.Close())

	n = newNode(t, cfg)
	s := n.Status().Republish
	require.Equal(t, len(keys), s.Keys)
	require.Equal(t, len(keys), s.Untold)
	require.Less(t, s.Overdue, len(keys)) // a start spreads them
	h, err = n.ProvideLater(ctx, keys)
	require.NoError(t, err)
	require.Equal(t, node.HandedOver{Known: len(keys)}, h)
	require.Equal(t, len(keys), n.Status().Republish.Overdue)
	removed, err := n.UnprovideAll(ctx, append([][]byte{[]byte("never provided")}, keys[1:]...))
	require.NoError(t, err)
	require.Equal(t, len(keys)-1, removed)
	s = n.Status().Republish
	require.Equal(t, 1, s.Keys)
	require.Equal(t, 1, s.Untold)
	require.NoError(t, n.Unprovide(ctx, keys[0]))
	require.Zero(t, n.Status().Republish.Untold)
	require.EqualValues(t, 0, mem.Stats().Published[records.KindProvider])
}

// Taking back ends the record here too.
func TestUnprovideAllForgetsRecords(t *testing.T) {
	ctx := testContext(t)
	cfg, mem := withMem()
	n := newNode(t, cfg)
	for _, key := range manyKeys(3) {
		_, err := n.ProvideKey(ctx, key)
		require.NoError(t, err)
	}
	_, err := n.UnprovideAll(ctx, manyKeys(3))
	require.NoError(t, err)
	for _, key := range manyKeys(3) {
		ps, err := mem.Providers(nil, time.Now(), key, 1)
		require.NoError(t, err)
		require.Empty(t, ps)
	}
}

// A key that cannot be provided keeps all of them from being handed over.
func TestProvideLaterRefuses(t *testing.T) {
	cfg, mem := withMem()
	n := newNode(t, cfg)
	for _, bad := range [][]byte{nil, make([]byte, records.MaxKeyLen+1)} {
		_, err := n.ProvideLater(testContext(t), [][]byte{[]byte("good"), bad})
		require.ErrorIs(t, err, node.ErrKeyLength)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	_, err := n.ProvideLater(ctx, [][]byte{[]byte("good")})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, mem.Stats().Published)
}
