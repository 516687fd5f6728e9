package sim

import (
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
)

func TestWarmTablesAreRight(t *testing.T) {
	o := DefaultOptions()
	o.Nodes, o.Clients = 500, 0.2
	w := New(o, nil)
	var s tableStats
	for _, n := range w.nodes {
		w.measureTable(n, &s)
	}
	require.Equal(t, 1.0, s.complete.value())
	require.Zero(t, s.stale.value())
	require.Len(t, w.truth.order, 400)
}

// A warm table, bucket by bucket: as many servers of the subtree as fit, spares included.
// All of them answered within the liveness interval.
func TestWarmTableBucketByBucket(t *testing.T) {
	o := DefaultOptions()
	o.Nodes, o.Clients = 400, 0.1
	w := New(o, nil)
	p := o.Protocol
	for _, num := range []uint32{0, 17, 399} {
		n := w.nodes[num]
		self := w.peer(num).Key
		subtree := map[int]int{}
		for _, other := range w.truth.order {
			if other != num {
				subtree[kad.CommonPrefixLen(&self, &w.peer(other).Key)]++
			}
		}
		verified := map[int]int{}
		n.table.Entries(func(e kbucket.Entry) bool {
			require.True(t, e.Verified)
			require.Less(t, w.clock.Sub(e.LastSeen), p.Liveness+1)
			verified[e.CPL]++
			return true
		})
		known := removeAll(t, w, n)
		for cpl, there := range subtree {
			require.Equal(t, min(there, p.K), verified[cpl], "bucket %d of node %d", cpl, num)
			require.Equal(t, min(there, p.K+p.Replacements), known[cpl], "bucket %d of node %d with its spares", cpl, num)
		}
	}
}

// removeAll removes every peer from the table of n. It returns how many peers each bucket had,
// spares included: a spare enters its bucket when a peer is removed from it.
func removeAll(t *testing.T, w *World, n *node) map[int]int {
	known := map[int]int{}
	for peers, _ := n.table.Len(); peers > 0; peers, _ = n.table.Len() {
		for _, e := range slices.Collect(n.table.Entries) {
			require.Less(t, w.clock.Sub(e.LastSeen), w.opts.Protocol.Liveness+1)
			require.False(t, e.LastSeen.After(w.clock))
			_, removed := n.table.Remove(e.Peer.Key)
			require.True(t, removed)
			known[e.CPL]++
		}
	}
	return known
}

// The last refreshes of the buckets are spread evenly over the refresh interval.
func TestWarmBucketsWereRefreshed(t *testing.T) {
	o := DefaultOptions()
	o.Nodes = 400
	w := New(o, nil)
	every := o.Protocol.Refresh
	var ages []float64
	for _, n := range w.nodes {
		due := n.table.RefreshDue(w.clock, 0)
		require.NotEmpty(t, due)
		require.Empty(t, n.table.RefreshDue(w.clock, every+1))
		for _, cpl := range due {
			age := sort.Search(int(every)+1, func(age int) bool {
				return !slices.Contains(n.table.RefreshDue(w.clock, time.Duration(age+1)), cpl)
			})
			ages = append(ages, time.Duration(age).Seconds())
		}
		for cpl, at := range due {
			require.Equal(t, cpl, at, "no bucket's refresh is in the future")
		}
	}
	requireDrawn(t, ages, func(x float64) float64 { return min(1, x/every.Seconds()) })
}

func TestSampleIsPartOfAPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 200).Draw(t, "n")
		m := rapid.IntRange(0, n).Draw(t, "m")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		got := sample(rng, n, m)
		require.Len(t, got, m)
		slices.Sort(got)
		require.Len(t, slices.Compact(got), m, "none twice")
		for _, x := range got {
			require.True(t, 0 <= x && x < n)
		}
	})
}

// Every number is equally likely at every position, whether few or most are drawn.
func TestSampleIsFair(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, m := range []int{2, 5, 9} {
		const n, rounds = 10, 20_000
		var first, any [n]int
		for range rounds {
			got := sample(rng, n, m)
			first[got[0]]++
			for _, x := range got {
				any[x]++
			}
		}
		for x := range n {
			require.InDelta(t, rounds/n, first[x], 200, "%d of %d", m, n)
			require.InDelta(t, rounds*m/n, any[x], 400, "%d of %d", m, n)
		}
	}
}

// The Machines of a warm start begin spread over a minute, each once. In a join, the
// bootstrap nodes start at once and the others spread over JoinWithin.
func TestNodesBeginOverATime(t *testing.T) {
	begins := func(w *World, k kind) []float64 {
		var at []float64
		seen := map[uint32]bool{}
		for w.queue.len() > 0 {
			if e := w.queue.pop(); e.kind() == k {
				require.False(t, seen[e.arg])
				seen[e.arg] = true
				at = append(at, e.at.Seconds())
			}
		}
		return at
	}
	o := DefaultOptions()
	o.Nodes, o.Bootstrap = 1000, 10
	at := begins(New(o, nil), evWarm)
	require.Len(t, at, 1000)
	requireDrawn(t, at, func(x float64) float64 { return min(1, x/startSpread.Seconds()) })

	o.Start, o.JoinWithin = StartJoin, 5*time.Minute
	w := New(o, nil)
	require.Empty(t, w.truth.order, "no node is up yet")
	at = begins(w, evStart)
	require.Len(t, at, 1000)
	require.Zero(t, at[9])
	require.NotZero(t, at[10], "the events come in their order")
	requireDrawn(t, at[10:], func(x float64) float64 { return min(1, x/300) })
}

// A node that restarts before its turn to begin does not begin twice.
func TestStartWarmIsForTheFirstLife(t *testing.T) {
	w := network(50, ChurnNone)
	n := w.nodes[7]
	w.startWarm(n)
	require.True(t, n.started)
	again := w.nodes[8]
	w.stop(again)
	w.startWarm(again)
	require.False(t, again.started, "down")
	w.start(again)
	pending := w.queue.len()
	w.startWarm(again)
	require.Equal(t, pending, w.queue.len(), "its second life began with its start")
}
