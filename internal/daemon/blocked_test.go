package daemon

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

// What peers are refused at a limit of the whole node or of a protocol counts. What one peer is
// refused, what this node is refused, and memory do not.
func TestBlocked(t *testing.T) {
	for _, c := range []struct {
		kind  rcmgr.TraceEvtTyp
		scope string
		in    int // of the connections or streams, how many are from peers
		want  uint64
	}{
		{rcmgr.TraceBlockAddStreamEvt, "system", 1, 1},
		{rcmgr.TraceBlockAddConnEvt, "transient", 1, 1},
		{rcmgr.TraceBlockAddConnEvt, "transient", 0, 0},
		{rcmgr.TraceBlockAddStreamEvt, "system.span-12", 1, 1},
		{rcmgr.TraceBlockReserveMemoryEvt, "system.span-12", 0, 0},
		{rcmgr.TraceBlockAddStreamEvt, "protocol:/ipfs/kad/1.0.0", 1, 1},
		{rcmgr.TraceBlockAddStreamEvt, "protocol:/ipfs/kad/1.0.0", 0, 0},
		{rcmgr.TraceBlockAddStreamEvt, "protocol:/ipfs/kad/1.0.0.peer:12D3", 1, 0},
		{rcmgr.TraceBlockAddStreamEvt, "peer:12D3", 1, 0},
		{rcmgr.TraceBlockReserveMemoryEvt, "stream-7", 0, 0},
		{rcmgr.TraceAddStreamEvt, "system", 1, 0},
	} {
		var b blocked
		b.ConsumeEvent(rcmgr.TraceEvt{Type: c.kind, Name: c.scope, DeltaIn: c.in, DeltaOut: 1 - c.in})
		require.Equal(t, c.want, b.n.Load(), "%s %s", c.kind, c.scope)
	}
}

// libp2p's resource manager reports what it refuses.
func TestBlockedByTheResourceManager(t *testing.T) {
	var b blocked
	limits := rcmgr.PartialLimitConfig{System: rcmgr.ResourceLimits{Conns: 1, ConnsInbound: 1}}.Build(rcmgr.InfiniteLimits)
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits), rcmgr.WithMetricsDisabled(), rcmgr.WithTraceReporter(&b))
	require.NoError(t, err)
	defer m.Close()
	from := ma.StringCast("/ip4/192.0.2.1/tcp/1")
	_, err = m.OpenConnection(network.DirInbound, true, from)
	require.NoError(t, err)
	require.Zero(t, b.n.Load())
	_, err = m.OpenConnection(network.DirInbound, true, from)
	require.Error(t, err)
	require.EqualValues(t, 1, b.n.Load())
}
