package daemon

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	basic "github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/stretchr/testify/require"
)

func loopbackHost(t *testing.T, options ...libp2p.Option) host.Host {
	t.Helper()
	h, err := libp2p.New(append(options, libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics())...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

// Lower limits close connections that were open before, except those that are protected
// or have a higher value. The tags of peers are kept.
func TestConnectionLimitsChange(t *testing.T) {
	conns, err := newConnections(40, 50, basic.WithGracePeriod(0), basic.WithSilencePeriod(20*time.Millisecond))
	require.NoError(t, err)
	h := loopbackHost(t, libp2p.ConnectionManager(conns))
	var others []peer.ID
	for range 5 {
		other := loopbackHost(t)
		require.NoError(t, h.Connect(t.Context(), peer.AddrInfo{ID: other.ID(), Addrs: other.Addrs()}))
		others = append(others, other.ID())
	}
	conns.Protect(others[0], "needed")
	conns.TagPeer(others[1], "good", 100)
	old := conns.manager()
	require.NoError(t, conns.limit(40, 50))
	require.Same(t, old, conns.manager(), "nothing changed")

	require.NoError(t, conns.limit(2, 3))
	require.True(t, conns.IsProtected(others[0], "needed"))
	require.Equal(t, map[string]int{"good": 100}, conns.GetTagInfo(others[1]).Tags)
	// Protected connections do not count.
	require.Eventually(t, func() bool { return len(h.Network().Peers()) == 3 }, 30*time.Second, 10*time.Millisecond)
	require.Subset(t, h.Network().Peers(), others[:2])
	require.False(t, conns.Unprotect(others[0], "needed"))

	require.NoError(t, conns.limit(40, 50))
	require.False(t, conns.IsProtected(others[0], ""))
	// The manager is notified of a closed connection after the network has removed it.
	require.Eventually(t, func() bool { return conns.manager().GetInfo().ConnCount == 3 }, 30*time.Second, time.Millisecond)
}
