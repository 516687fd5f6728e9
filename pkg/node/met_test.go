package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

func TestMet(t *testing.T) {
	var m met
	now := time.Unix(60*1e6, 0)
	require.False(t, m.lately("a", now))
	require.True(t, m.lately("a", now.Add(59*time.Second)))
	require.False(t, m.lately("b", now))
	require.False(t, m.lately("a", now.Add(metPeriod)), "another period")

	again := 0
	for i := range 100 {
		m.lately(peer.ID(fmt.Sprint(i)), now)
	}
	for i := range 100 {
		if m.lately(peer.ID(fmt.Sprint(i)), now) {
			again++
		}
	}
	require.Greater(t, again, 80, "few share a slot")
}

func BenchmarkMet(b *testing.B) {
	var m met
	now := time.Unix(1e9, 0)
	b.ReportAllocs()
	for b.Loop() {
		m.lately("\x00\x24\x08\x01\x12\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", now)
	}
}

// The time of a table peer's last request is not wall time: otherwise a clock that is set
// back would delay the next heartbeat.
func TestLastAsked(t *testing.T) {
	n := &Node{started: time.Now().Add(-time.Hour)}
	n.view.Store(&view{contacts: map[kad.PeerID]*contact{"peer": {}}})
	now := time.Now()
	n.meet("peer", now)
	require.Zero(t, n.lastAsked().Sub(now))
	require.NotEqual(t, n.lastAsked().Round(0), n.lastAsked(), "it has no monotonic reading")
}
