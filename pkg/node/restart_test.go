package node_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
)

func hostWithKey(t *testing.T, key crypto.PrivKey) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.Identity(key), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.ForceReachabilityPrivate())
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

func openStore(t *testing.T, dir string) *storage.DB {
	t.Helper()
	db, err := storage.Open(dir, storage.Options{})
	require.NoError(t, err)
	return db
}

// TestRestart stops a node that holds records and starts it again on the same files,
// without a bootstrap peer. Table, records and published keys are restored.
func TestRestart(t *testing.T) {
	ctx := testContext(t)
	others := network(t, 4, openConfig())
	key, _, err := crypto.GenerateEd25519Key(nil)
	require.NoError(t, err)
	dir := t.TempDir()

	db := openStore(t, dir)
	cfg := openConfig()
	cfg.Store, cfg.Keystore, cfg.Snapshots = db, db, db
	cfg.Bootstrap = []peer.AddrInfo{infoOf(others[0])}
	h := hostWithKey(t, key)
	n, err := node.New(h, cfg)
	require.NoError(t, err)
	waitFor(t, func() bool { return n.Status().VerifiedPeers == 4 })
	_, err = n.Publish(ctx, []byte("/example/kept"), []byte("mine"))
	require.NoError(t, err)
	_, err = others[1].Publish(ctx, []byte("/example/theirs"), []byte("theirs"))
	require.NoError(t, err)
	_, err = others[2].ProvideKey(ctx, []byte("content"))
	require.NoError(t, err)
	waitFor(t, func() bool { return db.Stats().Records[records.KindProvider] == 1 })
	require.NoError(t, n.Close())
	require.NoError(t, h.Close())
	require.NoError(t, db.Close())

	db = openStore(t, dir)
	defer db.Close()
	cfg.Store, cfg.Keystore, cfg.Snapshots, cfg.Bootstrap = db, db, db, nil
	n, err = node.New(hostWithKey(t, key), cfg)
	require.NoError(t, err)
	defer n.Close()
	require.Equal(t, 4, n.Status().RestoredPeers)
	waitFor(t, func() bool { return n.Status().VerifiedPeers == 4 })
	require.Equal(t, 1, n.Status().Republish.Keys)
	for key, want := range map[string]string{"/example/kept": "mine", "/example/theirs": "theirs"} {
		v, err := db.Value(time.Now(), []byte(key))
		require.NoError(t, err)
		require.Equal(t, want, string(v.Value))
	}
	ps, err := db.Providers(nil, time.Now(), []byte("content"), 10)
	require.NoError(t, err)
	require.Len(t, ps, 1)
	require.NotEmpty(t, ps[0].Addrs, "with addresses")
}

// TestTTL puts a value for three seconds: every holder serves it before that and
// none after.
func TestTTL(t *testing.T) {
	ctx := testContext(t)
	cfg := openConfig()
	mems := []*records.Mem{records.NewMem(nil), records.NewMem(nil), records.NewMem(nil)}
	var nodes []*node.Node
	for _, m := range mems {
		cfg.Store, cfg.Keystore, cfg.Snapshots = m, m, m
		nodes = append(nodes, newNode(t, cfg))
		cfg.Bootstrap = []peer.AddrInfo{infoOf(nodes[0])}
	}
	for _, n := range nodes {
		waitFor(t, func() bool { return n.Status().VerifiedPeers == 2 })
	}
	res, err := nodes[0].PublishFor(ctx, []byte("/example/short"), []byte("v"), 3*time.Second)
	require.NoError(t, err)
	require.Equal(t, 2, res.StoredAt)
	for i, m := range mems {
		v, err := m.Value(time.Now(), []byte("/example/short"))
		require.NoError(t, err)
		require.False(t, v.Expires.After(res.Expires), "holder %d outlives the publisher", i)
		require.WithinDuration(t, res.Expires, v.Expires, 1500*time.Millisecond)
		_, err = m.Value(v.Expires, []byte("/example/short"))
		require.ErrorIs(t, err, records.ErrNotFound)
	}
	waitFor(t, func() bool { // its publication ends too
		_, err := mems[0].Load(records.KindValue, []byte("/example/short"))
		return errors.Is(err, records.ErrNotFound)
	})
	_, err = nodes[0].PublishFor(ctx, []byte("/example/short"), []byte("v"), time.Millisecond)
	require.ErrorIs(t, err, node.ErrTTL)
}

// TestCloseUnderLoad closes a node while it serves requests and runs queries. goleak
// checks the whole package.
func TestCloseUnderLoad(t *testing.T) {
	nodes := network(t, 6, openConfig())
	ctx, cancel := context.WithCancel(testContext(t))
	var wg sync.WaitGroup
	for i, n := range nodes {
		for j := range 4 {
			wg.Go(func() {
				for k := 0; ctx.Err() == nil; k++ {
					key := fmt.Appendf(nil, "/example/%d/%d/%d", i, j, k)
					_, _ = n.Publish(ctx, key, []byte("v"))
					_, _ = n.Get(ctx, key, 0)
					_, _ = n.ProvideKey(ctx, key)
					_, _ = n.Providers(ctx, key, 0, func(peer.AddrInfo) bool { return true })
				}
			})
		}
	}
	waitFor(t, func() bool { return nodes[0].Status().Records.Records[records.KindValue] > 100 })
	require.NoError(t, closeSoon(t, nodes[0]))
	_, err := nodes[0].Closest(ctx, []byte("x"))
	require.ErrorIs(t, err, node.ErrClosed)
	require.NoError(t, nodes[0].Close(), "again")
	cancel()
	wg.Wait()
}
