package daemon

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

func TestLevelsOfLimits(t *testing.T) {
	for _, c := range []struct {
		used, limit int64
		near, full  string
	}{
		{0, 0, "ok", "ok"}, {5, 0, "ok", "ok"}, {0, 100, "ok", "ok"}, {89, 100, "ok", "ok"},
		{90, 100, "warning", "warning"}, {99, 100, "warning", "warning"}, {100, 100, "warning", "critical"}, {200, 100, "warning", "critical"},
	} {
		require.Equal(t, c.near, near(api.Limit{Used: c.used, Limit: c.limit}, high).Level, "%+v", c)
		require.Equal(t, c.full, full(api.Limit{Used: c.used, Limit: c.limit}).Level, "%+v", c)
	}
}

// Every limit of a running daemon is known, and in words.
func TestLimits(t *testing.T) {
	d := start(t, t.TempDir())
	o, err := d.Backend().Overview(t.Context())
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, l := range o.Limits {
		require.Positive(t, l.Limit, l.Name)
		require.LessOrEqual(t, l.Used, l.Limit, l.Name)
		require.NotEmpty(t, l.Label)
		require.NotEmpty(t, l.Note)
		require.NotEmpty(t, l.Level)
		require.Contains(t, []string{unitBytes, unitCount}, l.Unit)
		require.False(t, seen[l.Name])
		seen[l.Name] = true
	}
	require.Len(t, seen, 9)
}
