package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// startSpread is the time over which the Machines of a warm start begin their upkeep: one
// upkeep round, so that the nodes do not run in step.
const startSpread = time.Minute

// begin starts the first nodes.
func (w *World) begin() {
	if w.opts.Start == StartJoin {
		w.beginJoin()
		return
	}
	for _, n := range w.nodes {
		w.boot(n)
	}
	w.truth.reset()
	for _, n := range w.nodes {
		w.warm(n)
		at := time.Duration(w.random.tables.Int64N(int64(startSpread)))
		w.queue.push(at, evWarm, n.num)
	}
}

// beginJoin starts the bootstrap nodes now and the others spread over JoinWithin.
func (w *World) beginJoin() {
	for i, n := range w.nodes {
		at := time.Duration(0)
		if i >= w.opts.Bootstrap {
			at = time.Duration(w.random.tables.Int64N(int64(w.opts.JoinWithin) + 1))
		}
		w.queue.push(at, evStart, n.num)
	}
}

// warm fills a table as a long run would. Each bucket gets random servers of its subtree,
// spares included. They were last heard from at random times within the liveness
// interval, and the buckets were last refreshed at random times within the refresh
// interval.
func (w *World) warm(n *node) {
	self := w.peer(n.num).Key
	t := n.table
	rng := w.random.tables
	within := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d) + 1)) }
	near := [2]int{0, len(w.truth.order)}
	for cpl := 0; near[1] > near[0] && cpl < kad.KeyBits; cpl++ {
		var apart [2]int
		apart, near = w.truth.halves(near[0], near[1], cpl, &self)
		first, end := apart[0], apart[1]
		want := min(end-first, w.opts.Protocol.K+w.opts.Protocol.Replacements)
		gap := w.opts.Protocol.Liveness / time.Duration(max(want, 1))
		for place, i := range sample(rng, end-first, want) {
			ago := gap*time.Duration(want-place-1) + within(gap)
			t.Add(*w.peer(w.truth.order[first+i]), "", w.clock.Add(-ago))
		}
		t.Refreshed(cpl, w.clock.Add(-within(w.opts.Protocol.Refresh)))
	}
}

// sample draws m of n numbers, in random order.
func sample(rng *rand.Rand, n, m int) []int {
	if 2*m >= n {
		return rng.Perm(n)[:m]
	}
	out := make([]int, 0, m)
	for len(out) < m {
		if i := rng.IntN(n); !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out
}

// startWarm starts the upkeep of a node whose table is warm.
func (w *World) startWarm(n *node) {
	if n.up() && n.life == 1 {
		n.started = true
		n.machine.Restored(w.clock, nil)
		w.perform(n)
	}
}
