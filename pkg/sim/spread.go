package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// quantiles is a distribution, given as its values at equally spaced probabilities. A
// draw is a table look-up, so it does not depend on the machine's logarithm.
type quantiles []time.Duration

// quantileCount is the number of steps of a table. Its rarest value comes once in that
// many draws, on average.
const quantileCount = 1 << 12

// at returns the value for the upper bits of a random number.
func (q quantiles) at(r uint64) time.Duration { return q[r>>(64-12)] }

// logNormal returns the quantiles of a log-normal distribution.
func logNormal(median time.Duration, sigma float64) quantiles {
	const step, edge = 1.0 / 256, 5.0 // of the normal variable
	var xs, cdf []float64
	sum := 0.0
	for x := -edge; x <= edge; x += step {
		sum += exp(float64(-x*x) / 2)
		xs, cdf = append(xs, x), append(cdf, sum)
	}
	q := make(quantiles, quantileCount)
	for i := range q {
		p := float64((float64(i) + 0.5) / quantileCount * sum)
		at, _ := slices.BinarySearch(cdf, p)
		q[i] = time.Duration(float64(median) * exp(float64(sigma*xs[at]))).Round(time.Microsecond)
	}
	return q
}

// weibull is how long a session lasts: S(t) = exp(-(t/scale)^shape).
type weibull struct {
	shape float64
	scale time.Duration

	// The remaining time of a running session has the density S(t) / mean. times and share
	// are its cumulative distribution.
	times []time.Duration
	share []float64
	mean  time.Duration
}

// newWeibull tabulates the remaining time, from a millionth of the scale up to where
// fewer than one in 10^7 sessions is left.
func newWeibull(shape float64, scale time.Duration) *weibull {
	w := &weibull{shape: shape, scale: scale}
	const steps = 4000
	last, area := 0.0, 0.0
	for i := range steps {
		t := exp(float64(-14 + float64(i)*(22.0/steps))) // in units of the scale
		mid := (t + last) / 2
		area += float64((t - last) * w.survival(mid))
		last = t
		w.times = append(w.times, time.Duration(t*float64(scale)))
		w.share = append(w.share, area)
	}
	for i := range w.share {
		w.share[i] /= area
	}
	w.mean = time.Duration(area * float64(scale))
	return w
}

// survival is the share of sessions that outlast t, in units of the scale.
func (w *weibull) survival(t float64) float64 { return exp(-pow(t, w.shape)) }

// session draws the length of a new session.
func (w *weibull) session(rng *rand.Rand) time.Duration {
	u := 1 - rng.Float64() // (0, 1]
	if u == 1 {
		return 0
	}
	return time.Duration(float64(w.scale) * pow(-ln(u), 1/w.shape))
}

// residual draws the remaining time of a running session.
func (w *weibull) residual(rng *rand.Rand) time.Duration {
	i, _ := slices.BinarySearch(w.share, rng.Float64())
	return w.times[min(i, len(w.times)-1)]
}

// exponential draws the time to the next event of a Poisson process.
func exponential(rng *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(float64(mean) * -ln(1-rng.Float64()))
}
