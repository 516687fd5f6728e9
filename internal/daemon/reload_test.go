package daemon

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/dht"
)

// Each reloadable interval sets its own field.
func TestIntervalsReachTheirFields(t *testing.T) {
	var c config.Config
	c.Refresh.Interval.Duration, c.Snapshot.Interval.Duration = 1, 2
	c.Storage.ExpiryInterval.Duration, c.Republish.Interval.Duration = 3, 4
	var all dht.Intervals
	for _, set := range intervals {
		set(&all, &c)
	}
	require.Equal(t, dht.Intervals{Refresh: 1, Snapshot: 2, Expiry: 3, Republish: 4}, all)
}

// A reload that conflicts with settings that only a restart changes is rejected as a
// whole.
func TestReloadThatNeedsARestart(t *testing.T) {
	o, logs := options(t, t.TempDir(), config.Setting{Key: "storage.provider_ttl", Value: "2h"}, config.Setting{Key: "republish.interval", Value: "1h"})
	next, _ := options(t, o.Loaded.Config.Storage.Path)
	next.Loaded.Config.Republish.Interval.Duration = 22 * time.Hour
	next.Loaded.Config.Log.Level = "error"
	o.Reload = func() (*config.Loaded, error) { return next.Loaded, nil }
	d, err := Start(o)
	require.NoError(t, err)
	defer d.Close()
	require.ErrorContains(t, d.Reload(), "republish.interval is 22h")
	require.Equal(t, "info", o.Logs.Levels()[""])
	require.Contains(t, logs.String(), "reload failed")
	s, err := d.Backend().RepublishStatus(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3600.0, s.CycleSeconds)
}

// A reload resets levels that a command has set, even if the file has not changed.
func TestReloadPutsLevelsBack(t *testing.T) {
	o, _ := options(t, t.TempDir())
	o.Reload = func() (*config.Loaded, error) { return o.Loaded, nil }
	d, err := Start(o)
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, o.Logs.Set("rpc", "debug"))
	require.NoError(t, d.Reload())
	require.Equal(t, map[string]string{"": "info", "libp2p": "error"}, o.Logs.Levels(), "those of log.level")
}
