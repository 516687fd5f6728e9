//go:build force

package force

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPowerDaemon cuts the power under a daemon, repeatedly on the same file system.
func TestPowerDaemon(t *testing.T) {
	rounds := forced(t, 5, 50)
	rng := random(t)
	d := newDisk(t, 1024)
	h := newHome(newWorld(t), rng, filepath.Join(d.dir, "home"))
	for round := range rounds {
		env, ttl := h.lifetimes()
		p := h.start(launch{env: env})
		l := h.put(&load{d: p, ttl: ttl, big: rng.IntN(4) == 0})
		pause(time.Duration(rng.IntN(1500)) * time.Millisecond)
		cut := time.Now()
		d.cutPower()
		pause(time.Duration(rng.IntN(200)) * time.Millisecond)
		p.kill()
		<-p.ended
		require.Empty(t, l.halt(cut), "%s", p.logs)
		p.end()
		d.unmount()
		d.mount(modes[round%len(modes)])
		if h.id != "" {
			requireClean(t, h.dir)
		}
	}
	p := h.start(launch{})
	p.signal(15)
	require.Zero(t, p.exited(), "%s", p.logs)
	requireClean(t, h.dir)
	t.Logf("FORCE daemon: %d power cuts, %d writes answered or shown: nothing lost, nothing expired served, check clean", rounds, h.model.answered)
}
