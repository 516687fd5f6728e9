package node_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// recordAddrs returns the addresses in the only provider record of key in a store.
func recordAddrs(t *testing.T, store *records.Mem, key string) []string {
	t.Helper()
	ps, err := store.Providers(nil, time.Now(), []byte(key), 10)
	require.NoError(t, err)
	require.Len(t, ps, 1)
	return texts(ps[0].Addrs)
}

// A node with a new address announces its provider records with it within a minute: while
// it runs, and after a restart on that address.
func TestAnotherAddressIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		w := newWorld(t)
		key, _, err := crypto.GenerateEd25519Key(nil)
		require.NoError(t, err)
		var mapped atomic.Pointer[ma.Multiaddr] // the address that a router maps to the node
		port := func(text string) { a := ma.StringCast(text); mapped.Store(&a) }
		factory := libp2p.AddrsFactory(func(have []ma.Multiaddr) []ma.Multiaddr { return append(have, *mapped.Load()) })
		port("/ip4/9.9.9.9/udp/1/quic-v1")
		holder, h, again := w.host(), w.host(libp2p.Identity(key), factory), w.host(libp2p.Identity(key), factory)
		w.net.Start()
		cfg, held := keeping(node.Config{})
		first := nodeOn(t, holder, cfg)
		cfg, _ = keeping(node.Config{Bootstrap: []peer.AddrInfo{infoOf(first)}})
		n := nodeOn(t, h, cfg)
		time.Sleep(time.Minute)
		_, err = n.ProvideKey(ctx, []byte("key"))
		require.NoError(t, err)
		require.Contains(t, recordAddrs(t, held, "key"), "/ip4/9.9.9.9/udp/1/quic-v1")

		port("/ip4/9.9.9.9/udp/2/quic-v1")
		time.Sleep(time.Minute)
		require.Contains(t, recordAddrs(t, held, "key"), "/ip4/9.9.9.9/udp/2/quic-v1")

		require.NoError(t, n.Close())
		require.NoError(t, h.Close())
		nodeOn(t, again, cfg) // on another IP address
		time.Sleep(time.Minute)
		require.Contains(t, recordAddrs(t, held, "key"), again.Addrs()[0].String())
	})
}
