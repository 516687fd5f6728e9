//go:build force

package force

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// home is a data directory in which daemons are killed, with the model of its contents.
type home struct {
	t     *testing.T
	w     *world
	rng   *rand.Rand
	dir   string
	model *model
	round int
	id    string // peer ID of the first daemon, and of all later ones
	began int    // order of the model when the last load began
	// restored: a snapshot with peers has been saved, so the next daemon needs no bootstrap
	// peers.
	restored bool
	ready    int // number of daemons that became ready
}

func newHome(w *world, rng *rand.Rand, dir string) *home {
	return &home{t: w.t, w: w, rng: rng, dir: dir, model: newModel()}
}

// start starts a daemon and checks for everything. The daemon must become ready unless l says
// otherwise. A traced daemon may exit at any moment and is only checked if it became ready.
func (h *home) start(l launch) *daemon {
	h.t.Helper()
	if !h.restored {
		l.args = append(l.args, h.w.bootstrap()...)
	}
	d := serve(h.t, h.dir, l)
	if l.killAfter > 0 || len(l.tracer) > 0 && !d.ready {
		return d
	}
	h.meet(d)
	if len(l.tracer) > 0 {
		return d
	}
	require.NoError(h.t, h.w.verify(d, h.model, h.began), "%s", d.logs)
	if h.restored {
		until(h.t, "the table is back", func() bool {
			s, err := d.status()
			require.NoError(h.t, err)
			return s.RestoredPeers > 0 && s.VerifiedPeers > 0
		})
	}
	return d
}

// meet checks that a daemon is ready and has the same peer ID as before.
func (h *home) meet(d *daemon) {
	h.t.Helper()
	d.requireReady()
	h.ready++
	if h.id == "" {
		h.id = d.id
	}
	require.Equal(h.t, h.id, d.id, "it is a different peer")
	h.w.meet(d)
}

// load writes to a daemon until it exits.
func (h *home) load(d *daemon, ttl time.Duration, big bool) *load {
	return h.put(&load{d: d, ttl: ttl, big: big})
}

func (h *home) put(l *load) *load {
	h.round++
	h.began = h.model.order
	l.w, l.m, l.round = h.w, h.model, h.round
	l.begin(h.rng)
	l.wg.Go(func() { h.watch(l) })
	return l
}

// watch waits for a snapshot with peers.
func (h *home) watch(l *load) {
	var verified time.Time
	for l.ctx.Err() == nil && !h.restored {
		ctx, cancel := context.WithTimeout(l.ctx, time.Second)
		s, err := l.d.api.Status(ctx)
		cancel()
		switch {
		case err != nil:
		case verified.IsZero() && s.VerifiedPeers > 0:
			verified = time.Now()
		case !verified.IsZero() && s.LastSnapshot.After(verified):
			h.restored = true
		}
		select {
		case <-l.ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// lifetimes returns the environment of a start and the lifetime of its provider records. One
// in four lifetimes is short.
func (h *home) lifetimes() ([]string, time.Duration) {
	if h.rng.IntN(4) == 0 {
		return shortLived, shortTTL
	}
	return nil, longTTL
}

// TestKillDaemon kills a daemon under load at random moments, repeatedly in the same data
// directory.
func TestKillDaemon(t *testing.T) {
	rounds := forced(t, 14, 500)
	rng := random(t)
	w := newWorld(t)
	var h *home
	var answered, ready int
	sum := func() {
		if h != nil {
			d := h.start(launch{})
			d.signal(15)
			require.Zero(t, d.exited(), "%s", d.logs)
			requireClean(t, h.dir)
			answered, ready = answered+h.model.answered, ready+h.ready
		}
	}
	for round := range rounds {
		if round%generation == 0 {
			sum()
			h = newHome(w, rng, filepath.Join(t.TempDir(), "home"))
		}
		env, ttl := h.lifetimes()
		if rng.IntN(6) == 0 && h.id != "" { // during its start
			h.start(launch{env: env, killAfter: time.Duration(rng.IntN(200)) * time.Millisecond}).end()
			requireClean(t, h.dir)
			continue
		}
		d := h.start(launch{env: env})
		l := h.load(d, ttl, rng.IntN(4) == 0)
		time.AfterFunc(time.Duration(rng.IntN(1200))*time.Millisecond, d.kill)
		require.Empty(t, l.finish(), "%s", d.logs)
		d.end()
		requireClean(t, h.dir)
	}
	sum()
	t.Logf("FORCE daemon: %d kills, %d writes answered or shown: nothing lost, nothing expired served, check clean, %d starts", rounds, answered, ready)
}

// TestKillDaemonAtCalls kills a daemon when it enters a selected system call, in an empty
// directory and in one with data.
func TestKillDaemonAtCalls(t *testing.T) {
	full := forced(t, 0, 1) == 1
	rng := random(t)
	w := newWorld(t)
	used := newHome(w, rng, filepath.Join(t.TempDir(), "home"))
	used.start(launch{}).end()
	reached := 0
	var missed []string
	for i, call := range killCalls(full) {
		homes := []*home{newHome(w, rng, filepath.Join(t.TempDir(), "home")), used}
		if !full {
			homes = homes[i%2 : i%2+1]
		}
		for _, h := range homes {
			d := h.start(launch{tracer: call.tracer(h.dir)})
			if d.ready {
				l := h.load(d, longTTL, true)
				timer := time.AfterFunc(8*time.Second, d.kill)
				require.Empty(t, l.finish(), "%s: %s", call, d.logs)
				if !timer.Stop() {
					missed = append(missed, call.String())
				} else {
					reached++
				}
			} else {
				reached++
			}
			d.end()
			again := h.start(launch{})
			again.end()
			requireClean(t, h.dir)
		}
	}
	t.Logf("FORCE daemon: killed at %d chosen calls; not reached within eight seconds, killed then: %s", reached, strings.Join(missed, " "))
}

// TestRollbackSeen gives a daemon an older database, to show that the tests above would
// detect the loss.
func TestRollbackSeen(t *testing.T) {
	forced(t, 1, 1)
	h := newHome(newWorld(t), random(t), filepath.Join(t.TempDir(), "home"))
	old := filepath.Join(t.TempDir(), "old")
	for i := range 2 {
		d := h.start(launch{})
		l := h.load(d, longTTL, false)
		time.AfterFunc(time.Second, d.kill)
		require.Empty(t, l.finish(), "%s", d.logs)
		d.end()
		if i == 0 {
			copyHome(t, old, h.dir)
		}
	}
	require.NoError(t, os.RemoveAll(h.dir))
	require.NoError(t, os.Rename(old, h.dir))
	d := serve(t, h.dir, launch{})
	d.requireReady()
	h.w.meet(d)
	require.ErrorIs(t, h.w.verify(d, h.model, h.began), errLost)
}
