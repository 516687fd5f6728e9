package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// requireDrawn fails if samples do not follow a cumulative distribution, by the test of
// Kolmogorov and Smirnov: the largest gap between the share of the samples up to x and
// what the formula says. One correct set of samples in a thousand fails, so the random
// numbers have a fixed seed.
func requireDrawn(t require.TestingT, samples []float64, cdf func(x float64) float64) {
	samples = slices.Sorted(slices.Values(samples))
	n := float64(len(samples))
	gap := 0.0
	for i, x := range samples {
		p := cdf(x)
		gap = max(gap, p-float64(i)/n, float64(i+1)/n-p)
	}
	require.Less(t, gap, 1.95/math.Sqrt(n), "%d samples", len(samples))
}

// draw takes n samples, in seconds.
func draw(n int, from func(*rand.Rand) time.Duration) []float64 {
	rng := rand.New(rand.NewPCG(4, 4))
	out := make([]float64, n)
	for i := range out {
		out[i] = from(rng).Seconds()
	}
	return out
}

// requireDrawn detects a slightly wrong distribution.
func TestRequireDrawnFindsAShift(t *testing.T) {
	uniform := func(shift float64) []float64 {
		return draw(20_000, func(rng *rand.Rand) time.Duration {
			return time.Duration((rng.Float64() + shift) * float64(time.Second))
		})
	}
	cdf := func(x float64) float64 { return min(1, max(0, x)) }
	requireDrawn(t, uniform(0), cdf)
	var r failures
	requireDrawn(&r, uniform(0.02), cdf)
	require.EqualValues(t, 1, r)
}

// failures counts failed assertions.
type failures int

func (n *failures) Errorf(string, ...any) { *n++ }
func (n *failures) FailNow()              {}

// Each step of the table is the quantile of the formula, within a step of the normal
// variable.
func TestLogNormalQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		median := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(10*time.Second)).Draw(t, "median"))
		sigma := rapid.Float64Range(0.05, 1.5).Draw(t, "sigma")
		q := logNormal(median, sigma)
		require.Len(t, q, quantileCount)
		require.True(t, slices.IsSorted(q))
		for i, got := range q {
			p := (float64(i) + 0.5) / quantileCount
			want := median.Seconds() * math.Exp(sigma*math.Sqrt2*math.Erfinv(2*p-1))
			require.InDelta(t, want, got.Seconds(), want*sigma*1.5/256+1e-6, "quantile %v", p)
		}
	})
}

// A draw uses the upper bits of the random number, and every value is equally likely.
func TestQuantilesAt(t *testing.T) {
	q := make(quantiles, quantileCount)
	for i := range q {
		q[i] = time.Duration(i)
	}
	const step = 1 << 52
	for i := range uint64(quantileCount) {
		require.Equal(t, time.Duration(i), q.at(i*step))
		require.Equal(t, time.Duration(i), q.at(i*step+step-1))
	}
}

func TestDrawsFollowTheirFormulas(t *testing.T) {
	const n = 20_000
	for _, tt := range []struct {
		shape float64
		scale time.Duration
	}{{sessionShape, sessionScale}, {1, time.Hour}, {0.5, time.Minute}, {2, 10 * time.Hour}} {
		w := newWeibull(tt.shape, tt.scale)
		scale := tt.scale.Seconds()
		requireDrawn(t, draw(n, w.session), func(x float64) float64 {
			return 1 - math.Exp(-math.Pow(x/scale, tt.shape))
		})
		require.InEpsilon(t, scale*math.Gamma(1+1/tt.shape), w.mean.Seconds(), 0.001, "mean of shape %v", tt.shape)
	}
	const mean = 90 * time.Second
	requireDrawn(t, draw(n, func(rng *rand.Rand) time.Duration { return exponential(rng, mean) }), func(x float64) float64 {
		return 1 - math.Exp(-x/mean.Seconds())
	})
}

// The remaining time of a running session follows the integral of the survival function.
// With shape 1 it is distributed like a whole session, because the exponential
// distribution is memoryless.
func TestResidualFollowsItsFormula(t *testing.T) {
	const n = 20_000
	memoryless := newWeibull(1, time.Hour)
	requireDrawn(t, draw(n, memoryless.residual), func(x float64) float64 { return 1 - math.Exp(-x/3600) })

	w := newWeibull(sessionShape, sessionScale)
	scale := sessionScale.Seconds()
	// residualSurvival sums over 250,000 steps, so compare only at some hours.
	samples := draw(n, w.residual)
	for _, hours := range []float64{0.1, 0.5, 1, 3, 6, 12, 24, 48, 96} {
		longer := 0
		for _, x := range samples {
			if x > hours*3600 {
				longer++
			}
		}
		require.InDelta(t, residualSurvival(sessionShape, hours*3600/scale), float64(longer)/n, 1.95/math.Sqrt(n), "%v h", hours)
	}
}

// The table of residual times is a cumulative distribution.
func TestWeibullTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := rapid.Float64Range(0.4, 3).Draw(t, "shape")
		w := newWeibull(shape, time.Hour)
		require.True(t, slices.IsSorted(w.times))
		require.True(t, slices.IsSorted(w.share))
		require.Equal(t, 1.0, w.share[len(w.share)-1])
		require.Positive(t, w.share[0])
		require.InEpsilon(t, math.Exp(-1), w.survival(1), 1e-14, "S(scale) is 1/e whatever the shape")
		last := w.times[len(w.times)-1].Hours()
		require.Less(t, w.survival(last), 1e-7, "the table ends where hardly a session is left")
	})
}

// The mean remaining time is E[X^2] / 2 E[X].
func TestResidualMean(t *testing.T) {
	w := newWeibull(sessionShape, sessionScale)
	scale := sessionScale.Seconds()
	second := scale * scale * math.Gamma(1+2/sessionShape)
	const n = 50_000
	mean := 0.0
	for _, x := range draw(n, w.residual) {
		mean += x / n
	}
	require.InEpsilon(t, second/(2*w.mean.Seconds()), mean, 0.03)
}
