package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// do runs one action in a world.
func do(t require.TestingT, w *World, action string) {
	s, err := ParseScenario("x", "at 0s "+action)
	require.NoError(t, err)
	s.Steps[0].act(w)
}

// up counts the nodes that are up.
func up(w *World) (n int) {
	for _, x := range w.nodes {
		if x.up() {
			n++
		}
	}
	return n
}

// servers draws a share of the servers, to the nearest whole number. It never draws a
// bootstrap node, a client or an adversary, and no node twice.
func TestServersAreDrawnFairly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := DefaultOptions()
		o.Nodes, o.Bootstrap, o.Clients = rapid.IntRange(5, 60).Draw(t, "nodes"), 3, 0.25
		w := New(o, nil)
		w.lie(0.2)
		p := rapid.Float64Range(0.001, 1).Draw(t, "share")
		can := 0
		for _, n := range w.nodes {
			if n.up() && !n.client && !n.evil && n.num >= 3 {
				can++
			}
		}
		got := w.servers(p)
		require.Len(t, got, int(p*float64(can)+0.5))
		seen := map[*node]bool{}
		for _, n := range got {
			require.False(t, seen[n])
			seen[n] = true
			require.True(t, n.up() && !n.client && !n.evil && n.num >= 3)
		}
	})
}

func TestKill(t *testing.T) {
	w := quiet(54) // 4 bootstrap nodes
	do(t, w, "kill 0.2")
	require.Equal(t, 44, up(w))
	require.Len(t, w.truth.order, 44)
	do(t, w, "kill 1")
	require.Equal(t, 4, up(w), "the bootstrap nodes stay")
	do(t, w, "kill 1")
	require.Equal(t, 4, up(w), "no other server is left")
}

// Restarted nodes are down for the given time and come back with the tables they had.
func TestRestart(t *testing.T) {
	w := quiet(54)
	do(t, w, "restart 0.5 30s")
	require.Equal(t, 29, up(w))
	var down []*node
	for _, n := range w.nodes {
		if !n.up() {
			down = append(down, n)
			require.NotEmpty(t, n.saved)
		}
	}
	w.RunUntil(30*time.Second - 1)
	require.Equal(t, 29, up(w))
	w.RunUntil(30 * time.Second)
	require.Equal(t, 54, up(w))
	for _, n := range down {
		require.Equal(t, uint32(2), n.life)
		require.Equal(t, 30*time.Second, n.startedAt)
		require.Nil(t, n.saved, "the Machine has the snapshot now")
		require.False(t, n.joining, "no node uses the bootstrap nodes")
	}
	w.RunUntil(10 * time.Minute)
	require.Len(t, w.phase.restored.list, len(down), "each has found its peers again")
	require.Less(t, w.phase.restored.quantile(0.5), time.Second.Microseconds(), "most at once")

	w = quiet(54)
	w.opts.Protocol.Snapshot = false
	do(t, w, "restart 0.5")
	w.RunUntil(2 * time.Minute)
	require.Empty(t, w.phase.restored.list)
	require.Len(t, w.phase.joined.list, 25, "without a snapshot it joins")
}

func TestPartitionAndHeal(t *testing.T) {
	w := quiet(1004)
	do(t, w, "partition 0.3")
	require.True(t, w.parted)
	other := 0
	for _, n := range w.nodes {
		if n.side == 1 {
			other++
			require.GreaterOrEqual(t, n.num, uint32(4), "the bootstrap nodes stay together")
		}
	}
	require.InDelta(t, 300, other, 60)
	for _, a := range w.nodes[:50] {
		for _, b := range w.nodes[:50] {
			require.Equal(t, a.side == b.side, w.reaches(a, b))
		}
	}
	do(t, w, "heal")
	require.False(t, w.parted)
	for _, n := range w.nodes {
		require.Zero(t, n.side)
	}
}

func TestLie(t *testing.T) {
	w := quiet(54)
	do(t, w, "lie 0.2")
	require.Equal(t, 54, up(w), "they keep their place")
	require.Len(t, w.truth.order, 44)
	require.Len(t, w.liars.order, 10)
}

// An action starts as many operations as the scenario says, each of the right kind.
func TestOperations(t *testing.T) {
	for action, kind := range map[string]opKind{
		"lookup 7": opLookup, "seek 7": opSeek, "provide 7": opProvide, "put 7": opPut, "publish 7": opProvide, "publish-values 7": opPut,
	} {
		w := quiet(60)
		do(t, w, action)
		w.RunUntil(time.Minute)
		for k := range w.phase.ops {
			want := 0
			if opKind(k) == kind {
				want = 7
			}
			require.Equal(t, want, w.phase.ops[k].count, "%s: %s", action, opNames[k])
		}
		stores := kind == opProvide || kind == opPut
		require.Equal(t, stores, len(w.tracked) == 7, action)
		require.Equal(t, stores, len(w.ready) == 7, action)
	}
}

// find looks for content that has been stored; find-hot always looks for the first.
func TestFind(t *testing.T) {
	w := quiet(60)
	do(t, w, "find 5")
	do(t, w, "find-hot 5")
	require.Zero(t, w.queue.len(), "there is nothing to find yet")
	do(t, w, "provide 3")
	do(t, w, "put 3")
	w.RunUntil(time.Minute)
	require.Len(t, w.ready, 6)

	targets := func(action string) map[*content]int {
		do(t, w, action)
		out := map[*content]int{}
		for _, n := range w.nodes {
			for _, o := range n.ops {
				out[o.content]++
			}
		}
		w.RunUntil(w.now + time.Minute)
		return out
	}
	require.Len(t, targets("find 200"), 6)
	hot := targets("find-hot 50")
	require.Len(t, hot, 1)
	require.GreaterOrEqual(t, hot[w.ready[0]], 45, "except when the owner itself was drawn")
	for _, k := range []opKind{opFind, opGet} {
		s := &w.phase.ops[k]
		require.Positive(t, s.count)
		require.Equal(t, s.count, s.succeeded)
	}
}

// One server gets all the keys, all due at the same time.
func TestPublishAll(t *testing.T) {
	w := quiet(60)
	do(t, w, "publish-all 40")
	require.Len(t, w.tracked, 40)
	owner := w.tracked[0].owner
	for _, c := range w.tracked {
		require.Same(t, owner, c.owner)
	}
	w.RunUntil(10 * time.Minute)
	require.Equal(t, int64(40), w.phase.republished.keys)
	for _, c := range w.tracked {
		require.Len(t, c.holders, 20)
	}
}

// Only servers that never leave publish. Under Weibull churn those are the bootstrap
// nodes.
func TestPublishersStay(t *testing.T) {
	w := network(60, ChurnWeibull)
	for range 50 {
		require.True(t, w.publisher().stable)
	}
	w.kill(1)
	for i := range 4 {
		w.stop(w.nodes[i])
	}
	require.Nil(t, w.randomServer(), "no server is left")
	require.Less(t, w.publisher().num, uint32(4))
	do(t, w, "provide 3")
	do(t, w, "publish-all 3")
	do(t, w, "lookup 3")
	require.Empty(t, w.tracked, "and nothing happens")
}

// The report shows a phase only if time passed in it.
func TestPhases(t *testing.T) {
	w := quiet(30)
	do(t, w, "phase first")
	w.RunUntil(time.Minute)
	do(t, w, "phase nothing")
	do(t, w, "phase second")
	w.RunUntil(3 * time.Minute)
	w.turnPhase(phaseLast)
	var got []Phase
	for _, p := range w.Report().Phases {
		got = append(got, Phase{Name: p.Name, From: p.From, Hours: p.Hours})
	}
	start := round(-w.opts.Warmup.Hours())
	require.Equal(t, []Phase{
		{Name: "first", From: start, Hours: round(1.0 / 60)},
		{Name: "second", From: round((time.Minute - w.opts.Warmup).Hours()), Hours: round(2.0 / 60)},
	}, got)
	require.True(t, w.over)
}

// A phase begins before everything else that happens at its time, so the phase before it
// does not measure the effect, wherever the line is in the scenario.
func TestPhaseBeginsBeforeOtherActions(t *testing.T) {
	for name, text := range map[string]string{
		"before":           "at 0s phase up\nat 5m phase down\nat 5m kill 0.5",
		"after":            "at 5m kill 0.5\nat 0s phase up\nat 5m phase down",
		"after a repeated": "at 0s phase up\nevery 5m from 5m kill 0.5\nat 5m phase down\nat 10m phase nobody",
		"repeated":         "at 0s phase up\nevery 1m from 2m until 5m kill 0.2\nevery 3m from 2m phase down",
	} {
		s, err := ParseScenario("x", "nodes 64\nbootstrap 4\nhours 0.25\nwarmup 0s\n"+text)
		require.NoError(t, err)
		o := DefaultOptions()
		require.NoError(t, s.Apply(&o))
		w := New(o, s)
		require.NoError(t, w.Run(nil))
		require.Equal(t, "up", w.phases[0].name, name)
		require.Equal(t, 64, w.phases[0].size.servers, name)
		if name == "repeated" {
			require.Equal(t, 4+30, w.phases[1].size.servers, "the kills of 2, 3 and 4 minutes, of a fifth of 60, 48 and 38")
			continue
		}
		require.Equal(t, 4+30, w.phases[1].size.servers, name)
	}
}

// Requests count for the phase in which they were served.
func TestLoadIsByPhase(t *testing.T) {
	w := quiet(30)
	do(t, w, "phase first")
	do(t, w, "lookup 20")
	w.RunUntil(time.Minute)
	do(t, w, "phase second")
	w.RunUntil(2 * time.Minute)
	w.turnPhase(phaseLast)
	served := 0
	for _, n := range w.nodes {
		served += int(n.served)
	}
	require.Equal(t, int64(served), w.phases[0].load.served.sum+w.phases[1].load.served.sum)
	require.Greater(t, w.phases[0].load.served.sum, w.phases[1].load.served.sum)
	require.Len(t, w.phases[1].load.served.list, 30)
}

// The dead share of the servers stops answering when the warmup ends.
func TestDead(t *testing.T) {
	o := DefaultOptions()
	o.Nodes, o.Dead, o.Warmup, o.Duration = 104, 0.3, time.Minute, time.Minute
	w := New(o, nil)
	w.RunUntil(o.Warmup - 1)
	require.Equal(t, 104, up(w))
	w.RunUntil(o.Warmup)
	require.Equal(t, 74, up(w))
}
