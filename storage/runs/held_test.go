package runs

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// Held is exact: a republished record counts once, removed and dropped records do not count,
// and a restart changes nothing.
func TestHeld(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, tiny())
	ids := []kad.PeerID{"one", "two", "none"}
	held := func(want ...int) {
		t.Helper()
		got, err := s.Held(ids)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	add := func(i int, id kad.PeerID, life time.Duration) {
		require.NoError(t, s.AddProvider(start, fmt.Appendf(nil, "key %d", i), records.Provider{ID: id, Expires: start.Add(life)}, false))
	}
	held(0, 0, 0)
	for i := range 120 {
		add(i, "one", 30*time.Hour)
		add(i, "one", 40*time.Hour)
	}
	for i := range 7 {
		add(i, "two", time.Hour)
	}
	held(120, 7, 0)
	require.NoError(t, s.RemoveProvider(start, []byte("key 3"), "one"))
	held(119, 7, 0)
	checked(t, s)
	s = open(t, dir, tiny())
	held(119, 7, 0)
	_, err := s.Expire(start.Add(24 * time.Hour))
	require.NoError(t, err)
	held(119, 0, 0)
	checked(t, s)
	_, err = s.Held(ids)
	require.ErrorIs(t, err, records.ErrClosed)
}
