package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

func TestPortableMath(t *testing.T) {
	for _, x := range []float64{1e-9, 0.1, 0.5, 1, math.Sqrt2, 2, 10, 12345.678} {
		require.InEpsilon(t, 1+math.Log(x), 1+ln(x), 1e-13, "ln %v", x)
		require.InEpsilon(t, math.Pow(x, 0.608), pow(x, 0.608), 1e-12, "pow %v", x)
	}
	for _, x := range []float64{-700, -20, -1, 0, 1e-6, 1, 20, 700} {
		require.InEpsilon(t, math.Exp(x), exp(x), 1e-12, "exp %v", x)
	}
}

func TestLogNormal(t *testing.T) {
	q := logNormal(80*time.Millisecond, 0.6)
	require.True(t, slices.IsSorted(q))
	require.InDelta(t, 80, q[quantileCount/2].Seconds()*1000, 1)
	require.InEpsilon(t, 80*math.Exp(0.6*1.2816), q[quantileCount*9/10].Seconds()*1000, 0.02)
}

// The closed form of the residual time: its mean is E[X^2] / 2 E[X].
func TestWeibull(t *testing.T) {
	w := newWeibull(sessionShape, sessionScale)
	scale := sessionScale.Seconds()
	require.InEpsilon(t, scale*math.Gamma(1+1/sessionShape), w.mean.Seconds(), 0.01)

	rng := rand.New(rand.NewPCG(1, 1))
	const n = 50_000
	sessions, residuals, beyond := 0.0, 0.0, 0
	for range n {
		sessions += w.session(rng).Seconds()
		r := w.residual(rng)
		residuals += r.Seconds()
		if r > 10*time.Hour {
			beyond++
		}
	}
	require.InEpsilon(t, w.mean.Seconds(), sessions/n, 0.03)
	second := scale * scale * math.Gamma(1+2/sessionShape)
	require.InEpsilon(t, second/(2*w.mean.Seconds()), residuals/n, 0.08)
	require.InDelta(t, residualSurvival(sessionShape, 10*3600/scale), float64(beyond)/n, 0.01)
}

func TestQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var q queue
	var want []event
	for i := range 3000 {
		if rng.IntN(3) > 0 || len(want) == 0 {
			at := time.Duration(rng.IntN(50))
			q.push(at, evWake, uint32(i))
			want = append(want, event{at: at, arg: uint32(i)})
			continue
		}
		first := 0
		for j := range want {
			if want[j].at < want[first].at {
				first = j // of equals the one made first stays
			}
		}
		got := q.pop()
		require.Equal(t, want[first].at, got.at)
		require.Equal(t, want[first].arg, got.arg)
		want = slices.Delete(want, first, first+1)
	}
	require.Equal(t, len(want), q.len())
}

func TestWakes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var q wakes
	want := map[uint32]time.Duration{}
	for range 10_000 {
		num := uint32(rng.IntN(40))
		switch rng.IntN(4) {
		case 0:
			q.remove(num)
			delete(want, num)
		case 1:
			at, ok := q.next()
			require.Equal(t, len(want) > 0, ok)
			if !ok {
				continue
			}
			first := q.heap[0].arg
			require.Equal(t, want[first], at)
			for other, due := range want {
				require.True(t, at < due || at == due && first <= other)
			}
		default:
			want[num] = time.Duration(1 + rng.IntN(50))
			q.set(num, want[num])
		}
		require.Equal(t, len(want), q.len())
	}
}

func TestClosestIsBruteForce(t *testing.T) {
	o := DefaultOptions()
	o.Nodes = 300
	w := New(o, nil)
	all := slices.Clone(w.truth.order)
	for range 100 {
		target := kad.KeyOf(w.randomKey())
		slices.SortFunc(all, func(a, b uint32) int { return kad.CompareDistance(&target, &w.peer(a).Key, &w.peer(b).Key) })
		odd := func(n uint32) bool { return n%2 == 1 }
		var want []uint32
		for _, n := range all {
			if odd(n) && len(want) < 20 {
				want = append(want, n)
			}
		}
		require.Equal(t, want, w.truth.closest(nil, &target, 20, odd))
	}
}

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

func TestPreimages(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	self := kad.KeyOf([]byte("self"))
	for cpl := range 20 {
		p := kad.BucketPrefix(self, cpl)
		k := kad.KeyOf(allPreimages().random(rng, p))
		require.GreaterOrEqual(t, kad.CommonPrefixLen(&self, &k), min(cpl, kad.MaxPreimageBits), "cpl %d", cpl)
		if cpl < kad.MaxPreimageBits {
			require.True(t, p.Contains(&k), "cpl %d", cpl)
		}
	}
}

// A pair has one round-trip time whoever asks, and a connection either end sees.
func TestLinksAreSymmetric(t *testing.T) {
	o := DefaultOptions()
	o.Nodes, o.Latency = 50, LatencyRegions
	w := New(o, nil)
	for range 200 {
		a, b := w.nodes[w.random.work.IntN(50)], w.nodes[w.random.work.IntN(50)]
		if a == b {
			continue
		}
		require.Equal(t, w.links.rtt(a, b), w.links.rtt(b, a))
		require.Positive(t, w.links.rtt(a, b))
		connect(a, b)
		require.True(t, connected(a, b))
		require.True(t, connected(b, a))
		b.life++
		require.False(t, connected(a, b), "a restart ends connections")
	}
}

func TestCeiling(t *testing.T) {
	for x, want := range map[float64]float64{0: 1, 0.03: 0.03, 0.031: 0.04, 7: 8, 99: 100, 101: 150} {
		require.InEpsilon(t, want, ceiling(x), 1e-9)
	}
}
