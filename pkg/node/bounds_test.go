package node

import (
	"fmt"
	"slices"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Of a list of peers that somebody tells, the first maxNoted go to the peerstore; all are
// passed on.
func TestNotedPeersAreBounded(t *testing.T) {
	n, err := New(tcpHost(t), Config{})
	require.NoError(t, err)
	defer n.Close()
	before := len(n.host.Peerstore().PeersWithAddrs())
	told := slices.Repeat([]wire.Peer{{Addrs: [][]byte{ma.StringCast("/ip4/8.8.8.8/tcp/1").Bytes()}}}, maxNoted+1)
	for i := range told {
		told[i].ID = kad.PeerID(fmt.Sprintf("\x12\x20%032d", i))
	}
	require.Len(t, n.hear(told, wire.ScopePublic, true), maxNoted+1)
	require.Len(t, n.host.Peerstore().PeersWithAddrs(), before+maxNoted)
}

// The last maxFailures ends of publications are kept, newest first, and all are counted.
func TestEndsAreBounded(t *testing.T) {
	var e ends
	for i := range maxFailures + 1 {
		e.add(PublishEnd{Reason: fmt.Sprint(i)})
	}
	require.Len(t, e.last, maxFailures)
	require.Equal(t, fmt.Sprint(maxFailures), e.last[0].Reason)
	require.Equal(t, "1", e.last[maxFailures-1].Reason)
	require.Equal(t, maxFailures+1, e.n)
}
