package sim

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// The oracles compare the simulator with published or calculated results.
// docs/SIMULATOR.md lists them in a table.

// network returns a world with warm tables.
func network(nodes int, churn string) *World {
	o := DefaultOptions()
	o.Nodes, o.Churn = nodes, churn
	return New(o, nil)
}

// quiet is a network in which nodes do only what the test asks for.
func quiet(nodes int) *World {
	w := network(nodes, ChurnNone)
	w.queue = queue{}
	for _, n := range w.nodes {
		n.started = true
	}
	return w
}

// ProbeLab RFM19.1: at some 25,000 servers a lookup's first peer of the 20 closest
// is 1.93 hops away on average, where a peer of one's own table is one hop away.
func TestOracleHops(t *testing.T) {
	t.Parallel()
	w := quiet(25_000)
	for range 1000 {
		w.lookup()
	}
	w.RunUntil(time.Minute)
	s := &w.phase.ops[opLookup]
	require.Equal(t, 1000, s.count)
	hops := 1 + s.firstHop.mean()
	t.Logf("%.2f hops", hops)
	require.InDelta(t, 1.93, hops, 0.2)
}

// The error of an estimate of the network's size from L lookups: its standard
// deviation is about 0.281 L^-0.529 of the size.
func TestOracleNetworkSize(t *testing.T) {
	t.Parallel()
	const nodes, asked = 2000, 300
	w := quiet(nodes)
	for n, l := 1, 0; n <= 16; n *= 2 {
		for ; l < n; l++ {
			for _, x := range w.nodes[:asked] {
				_, err := x.machine.Start(w.clock, dht.Query{Kind: dht.FindClosest, Key: w.randomKey()})
				require.NoError(t, err)
				w.perform(x)
			}
			w.RunUntil(w.now + 10*time.Second)
		}
		var errs []float64
		for _, x := range w.nodes[:asked] {
			errs = append(errs, x.machine.NetworkSize()/nodes-1)
		}
		bias, sigma := meanAndSigma(errs)
		published := 0.281 * math.Pow(float64(n), -0.529)
		t.Logf("%2d lookups: sigma %.3f, published %.3f, bias %+.3f", n, sigma, published, bias)
		require.InEpsilon(t, published, sigma, 0.25)
	}
}

// alive returns which of the first nodes are up at the given times.
func alive(w *World, times ...time.Duration) [][]bool {
	ends := make([]time.Duration, w.opts.Nodes)
	for i := range ends {
		ends[i] = never
	}
	for w.queue.len() > 0 {
		if e := w.queue.pop(); e.kind() == evStop {
			ends[e.arg] = e.at
		}
	}
	var out [][]bool
	for _, at := range times {
		up := make([]bool, len(ends))
		for i, end := range ends {
			up[i] = end > at
		}
		out = append(out, up)
	}
	return out
}

// holdersLeft takes the k servers nearest to each of some keys and returns how many
// of them are up on average, and the share of keys that have any.
func holdersLeft(w *World, up []bool) (left, survived float64) {
	const keys = 10_000
	for range keys {
		target := kad.KeyOf(w.randomKey())
		n := 0
		for _, num := range w.truth.closest(nil, &target, w.opts.Protocol.K, func(uint32) bool { return true }) {
			if up[num] {
				n++
			}
		}
		left += float64(n) / keys
		if n > 0 {
			survived += 1.0 / keys
		}
	}
	return left, survived
}

// ProbeLab RFM17: of the 20 peers that took a provider record 15 are still there
// after 80 hours.
func TestOracleHoldersOfTheMixture(t *testing.T) {
	t.Parallel()
	w := network(5000, ChurnMixture)
	left, _ := holdersLeft(w, alive(w, 80*time.Hour)[0])
	t.Logf("%.2f of 20", left)
	require.InDelta(t, 15, left, 0.5)
}

// A server drawn at random is in the middle of a session. The probability that it stays
// for another t is the integral of the survival function from t on, divided by the whole
// integral. A record is lost when all of its 20 holders have left.
func TestOracleSurvivalUnderWeibullChurn(t *testing.T) {
	t.Parallel()
	w := network(5000, ChurnWeibull)
	hours := []float64{1, 6, 12, 22, 48}
	var times []time.Duration
	for _, h := range hours {
		times = append(times, time.Duration(h*float64(time.Hour)))
	}
	for i, up := range alive(w, times...) {
		left, survived := holdersLeft(w, up)
		stays := residualSurvival(sessionShape, hours[i]/sessionScale.Hours())
		wantSurvived := 1 - math.Pow(1-stays, 20)
		t.Logf("%2.0f h: %.2f of 20 holders left, %.2f on paper; %.4f of the records survive, %.4f on paper", hours[i], left, 20*stays, survived, wantSurvived)
		require.InDelta(t, 20*stays, left, 0.3)
		require.InDelta(t, wantSurvived, survived, 0.02)
	}
}

// residualSurvival integrates exp(-x^shape) from t on and divides by the whole integral:
// the share of running sessions that last t longer, in units of the scale.
func residualSurvival(shape, t float64) float64 {
	const step, end = 0.002, 500.0
	tail, whole := 0.0, 0.0
	for x := step / 2; x < end; x += step {
		s := math.Exp(-math.Pow(x, shape)) * step
		whole += s
		if x >= t {
			tail += s
		}
	}
	return tail / whole
}
