package node_test

import (
	"crypto/rand"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	libp2pnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
)

// TestAutoMode follows the host's reachability: a client until it is publicly reachable,
// and again once it is not. Its peers' tables follow too.
func TestAutoMode(t *testing.T) {
	server := newNode(t, node.Config{})
	auto := newNode(t, node.Config{Mode: node.ModeAuto, Bootstrap: []peer.AddrInfo{infoOf(server)}})
	emitter, err := auto.Host().EventBus().Emitter(new(event.EvtLocalReachabilityChanged))
	require.NoError(t, err)
	defer emitter.Close()
	require.NoError(t, auto.Joined(testContext(t)))
	require.False(t, auto.Status().Serving)
	require.Zero(t, server.Status().TablePeers, "clients stay out of tables")

	require.NoError(t, emitter.Emit(event.EvtLocalReachabilityChanged{Reachability: libp2pnet.ReachabilityPublic}))
	waitFor(t, func() bool { return auto.Status().Serving && server.Status().VerifiedPeers == 1 })
	require.NoError(t, emitter.Emit(event.EvtLocalReachabilityChanged{Reachability: libp2pnet.ReachabilityPrivate}))
	waitFor(t, func() bool { return !auto.Status().Serving && server.Status().TablePeers == 0 })
}

// TestPublicKeys finds public keys in peer IDs, in the peerstore and as pk records.
func TestPublicKeys(t *testing.T) {
	ctx := testContext(t)
	nodes := network(t, 3, node.Config{})
	rsa, _, err := crypto.GenerateRSAKeyPair(2048, rand.Reader)
	require.NoError(t, err)
	id, err := peer.IDFromPublicKey(rsa.GetPublic())
	require.NoError(t, err)
	_, err = nodes[0].GetPublicKey(ctx, id)
	require.ErrorIs(t, err, routing.ErrNotFound)

	raw, err := crypto.MarshalPublicKey(rsa.GetPublic())
	require.NoError(t, err)
	require.NoError(t, nodes[1].PutValue(ctx, routing.KeyForPublicKey(id), raw))
	for _, n := range nodes {
		got, err := n.GetPublicKey(ctx, id)
		require.NoError(t, err)
		require.True(t, got.Equals(rsa.GetPublic()))
	}
	own, err := nodes[0].GetPublicKey(ctx, nodes[2].Host().ID())
	require.NoError(t, err, "an ed25519 peer ID is its key")
	require.True(t, nodes[2].Host().ID().MatchesPublicKey(own))
	err = nodes[0].PutValue(ctx, routing.KeyForPublicKey(id), []byte("no key"))
	require.Error(t, err)
}
