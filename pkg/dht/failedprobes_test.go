package dht

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

func TestFailedProbes(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a, b := kad.NewPeer("a"), kad.NewPeer("b")
	var r failedProbes
	r.add(a, now)
	r.add(b, now.Add(time.Minute))
	require.True(t, r.has("a", now.Add(time.Minute), FailedProbeMemory))
	require.False(t, r.has("a", now.Add(time.Minute), time.Minute), "longer ago than asked for")
	require.False(t, r.has("c", now, FailedProbeMemory))

	r.add(a, now.Add(2*time.Minute)) // again
	require.Equal(t, []kad.Peer{b, a}, r.since(now), "each once, by its last failure")
	require.Equal(t, []kad.Peer{a}, r.since(now.Add(2*time.Minute)))
	require.Empty(t, r.since(now.Add(2*time.Minute+1)))
	r.expire(now.Add(FailedProbeMemory))
	require.True(t, r.has("a", now.Add(FailedProbeMemory), FailedProbeMemory), "its first failure is forgotten, its second is not")
	require.Len(t, r.order, 2)

	r.expire(now.Add(FailedProbeMemory + 2*time.Minute))
	require.Nil(t, r.last, "nothing to remember takes no memory")
	require.Nil(t, r.order)

	for i := range MaxFailedProbes + 1 {
		r.add(kad.Peer{ID: kad.PeerID(fmt.Sprint(i))}, now)
	}
	require.Len(t, r.last, MaxFailedProbes)
	require.False(t, r.has("0", now, FailedProbeMemory), "the oldest went first")
	require.True(t, r.has("1", now, FailedProbeMemory), "and no other")
}
