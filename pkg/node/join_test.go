package node_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// nobody is a bootstrap peer that does not exist. A dial takes seconds to fail.
var nobody = peer.AddrInfo{
	ID:    decodeID("12D3KooWJbR1DwFMkuUwAj77xbTe7XPnoSaQgbMPGSkYBfQh2GrD"),
	Addrs: []ma.Multiaddr{ma.StringCast("/ip4/99.0.0.1/udp/8000/quic-v1")},
}

func decodeID(text string) peer.ID {
	id, err := peer.Decode(text)
	if err != nil {
		panic(err)
	}
	return id
}

// joinedBy reports whether n has joined after a further time.
func joinedBy(t *testing.T, n *node.Node, d time.Duration) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	err := n.Joined(ctx)
	if err != nil {
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	return err == nil
}

// The first node of a network has joined when a peer appears, not before. Joined stays
// true.
func TestJoined(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		first := nodeOn(t, h1, node.Config{})
		require.False(t, joinedBy(t, first, time.Hour))
		failures, err := first.Bootstrapped(t.Context())
		require.NoError(t, err)
		require.Empty(t, failures)

		second := nodeOn(t, h2, node.Config{Bootstrap: []peer.AddrInfo{infoOf(first)}})
		for _, n := range []*node.Node{second, first} {
			require.True(t, joinedBy(t, n, 10*time.Second))
			require.Equal(t, 1, n.Status().VerifiedPeers)
		}
		require.Empty(t, first.Status().Bootstraps.Last)
		last := second.Status().Bootstraps.Last
		require.Len(t, last, 1)
		require.Equal(t, node.BootstrapDial{Peer: first.Host().ID(), At: last[0].At}, last[0])
		require.False(t, last[0].At.IsZero())
		require.NoError(t, second.Close())
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, second.Joined(ended))
	})
}

// An answer is not enough while bootstrap peers are still dialled.
func TestJoinedAfterTheFirstAttempt(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		n := nodeOn(t, h1, node.Config{Bootstrap: []peer.AddrInfo{nobody}})
		nodeOn(t, h2, node.Config{Bootstrap: []peer.AddrInfo{infoOf(n)}})
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 1, n.Status().VerifiedPeers)
		require.False(t, joinedBy(t, n, time.Second))
		require.True(t, joinedBy(t, n, 20*time.Second))
		failures, err := n.Bootstrapped(t.Context())
		require.NoError(t, err)
		require.Len(t, failures, 1)
		var dial *rpc.DialError
		require.ErrorAs(t, failures[0], &dial)
		require.Equal(t, nobody.ID, dial.Peer)
		last := n.Status().Bootstraps.Last
		require.Len(t, last, 1)
		require.Equal(t, nobody.ID, last[0].Peer)
		require.Equal(t, failures[0], last[0].Err)
	})
}

// A node whose peers of the last run answer has joined without its bootstrap peers.
func TestJoinedByTheSnapshot(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		cfg, _ := keeping(node.Config{})
		first, second := nodeOn(t, h1, node.Config{}), nodeOn(t, h2, cfg)
		reached, errs := second.Connect(t.Context(), []peer.AddrInfo{infoOf(first)})
		require.Empty(t, errs)
		require.Len(t, reached, 1)
		require.True(t, joinedBy(t, second, time.Minute))
		require.NoError(t, second.Close())

		cfg.Bootstrap = []peer.AddrInfo{nobody}
		require.True(t, joinedBy(t, nodeOn(t, h2, cfg), time.Second))
	})
}

// Close ends the wait.
func TestJoinedEndsWithTheNode(t *testing.T) {
	n := newNode(t, openConfig())
	ended := make(chan error, 1)
	go func() { ended <- n.Joined(testContext(t)) }()
	require.NoError(t, n.Close())
	require.ErrorIs(t, <-ended, node.ErrClosed)
}

// New bootstrap peers are dialled at once, or as soon as the attempt at the old ones ends.
func TestSetBootstrap(t *testing.T) {
	for _, old := range [][]peer.AddrInfo{nil, {nobody}} {
		withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
			first := nodeOn(t, h1, node.Config{})
			n := nodeOn(t, h2, node.Config{Bootstrap: old})
			time.Sleep(time.Second)
			n.SetBootstrap([]peer.AddrInfo{infoOf(first)})
			require.True(t, joinedBy(t, n, 20*time.Second))
			require.Equal(t, 1, n.Status().VerifiedPeers)
		})
	}
}

// Without bootstrap peers nothing is dialled, and the dials of those that were removed are
// forgotten.
func TestSetNoBootstrap(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, _, h host.Host) {
		n := nodeOn(t, h, node.Config{Bootstrap: []peer.AddrInfo{nobody}})
		_, err := n.Bootstrapped(t.Context())
		require.NoError(t, err)
		before := n.Status().Bootstraps
		require.Len(t, before.Last, 1)
		n.SetBootstrap([]peer.AddrInfo{nobody})
		require.Len(t, n.Status().Bootstraps.Last, 1, "it is still one of them")
		time.Sleep(20 * time.Second)
		before = n.Status().Bootstraps
		n.SetBootstrap(nil)
		time.Sleep(20 * time.Second)
		after := n.Status().Bootstraps
		require.Empty(t, after.Last)
		require.Equal(t, before.Failed, after.Failed)
	})
}

// An attempt at peers that were removed meanwhile leaves nothing behind.
func TestSetNoBootstrapDuringAnAttempt(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, _, h host.Host) {
		n := nodeOn(t, h, node.Config{Bootstrap: []peer.AddrInfo{nobody}})
		time.Sleep(time.Second)
		n.SetBootstrap(nil)
		failures, err := n.Bootstrapped(t.Context())
		require.NoError(t, err)
		require.Empty(t, failures)
		require.Empty(t, n.Status().Bootstraps.Last)
	})
}

// The first node of a network may stay alone: it does not wait for an answer.
func TestFirstHasJoined(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		alone := nodeOn(t, h1, node.Config{First: true})
		require.True(t, joinedBy(t, alone, time.Second))
		missing := nodeOn(t, h2, node.Config{First: true, Bootstrap: []peer.AddrInfo{nobody}})
		require.False(t, joinedBy(t, missing, time.Second), "its bootstrap peers are being dialled")
		require.True(t, joinedBy(t, missing, 20*time.Second))
	})
}
