package dht

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/republish"
)

// A clock that was a year ahead and is corrected does not stop upkeep and republishing
// for that year.
func TestClockSetBack(t *testing.T) {
	m := New(Config{Self: kad.NewPeer("self")})
	ahead := start.Add(365 * 24 * time.Hour)
	peer := kad.NewPeer("peer")
	require.Equal(t, kbucket.Added, m.table.Add(peer, "", ahead))
	m.table.Refreshed(0, ahead)
	it := republish.Item{Key: peer.Key}
	m.Scheduled(ahead, it, ahead.Add(time.Hour), false)
	m.Tick(ahead)

	m.Tick(ahead.Add(-clockSlack)) // too little for a reaction
	due, _ := m.schedule.DueAt(it)
	require.Equal(t, ahead.Add(time.Hour), due)

	m.Tick(start)
	due, _ = m.schedule.DueAt(it)
	require.False(t, due.After(start.Add(22*time.Hour)))
	require.Len(t, m.table.ProbeDue(nil, start.Add(LivenessInterval), LivenessInterval, 9), 1)
	require.NotEmpty(t, m.table.RefreshDue(start.Add(RefreshInterval), RefreshInterval))
}
