package dht

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/republish"
)

func TestSetIntervals(t *testing.T) {
	now := time.Unix(1e9, 0)
	m := New(Config{Self: kad.NewPeer("self")})
	m.SetIntervals(now, Intervals{Expiry: time.Hour}) // before the start: nothing is due
	_, waits := m.Deadline()
	require.False(t, waits)
	m.Restored(now, nil)
	m.Take()
	require.False(t, expiresAt(m, now.Add(ExpiryInterval)))

	m.SetIntervals(now, Intervals{Snapshot: 5 * time.Second, Expiry: 7 * time.Second})
	next, _ := m.Deadline()
	require.Equal(t, now.Add(5*time.Second), next, "brought forward")
	require.True(t, expiresAt(m, now.Add(7*time.Second)))
	require.True(t, expiresAt(m, now.Add(14*time.Second)))
	m.SetIntervals(now.Add(14*time.Second), Intervals{Expiry: time.Hour})
	require.True(t, expiresAt(m, now.Add(21*time.Second)), "what is due comes no later")
	require.False(t, expiresAt(m, now.Add(time.Hour)))

	it := republish.Item{Key: kad.KeyOf([]byte("key"))}
	m.Scheduled(now, it, now.Add(time.Minute), false)
	m.SetIntervals(now, Intervals{Republish: 3 * time.Hour})
	due, _ := m.Schedule().DueAt(it)
	late := republish.Item{Key: kad.KeyOf([]byte("late"))}
	m.Scheduled(now, late, now.Add(3*time.Hour), false)
	require.Equal(t, now.Add(time.Minute).UTC(), due)
	m.SetIntervals(now, Intervals{Republish: 2 * time.Hour})
	sooner, _ := m.Schedule().DueAt(late)
	require.False(t, sooner.After(now.Add(2*time.Hour)))
	m.SetIntervals(now, Intervals{Republish: 3 * time.Hour})
	m.Schedule().Due(nil, due)
	require.Equal(t, due.Add(3*time.Hour), m.Schedule().Done(due, it, true))
}

// expiresAt reports whether a Tick at that time asks for expiry.
func expiresAt(m *Machine, now time.Time) bool {
	m.Tick(now)
	return m.Take().Expire
}
