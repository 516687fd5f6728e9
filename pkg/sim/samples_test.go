package sim

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// numbers returns samples of the given values, added in this order.
func numbers(xs ...int64) *samples {
	s := &samples{}
	for _, x := range xs {
		s.add(x)
	}
	return s
}

var drawNumbers = rapid.SliceOfN(rapid.Int64Range(0, 1_000_000), 1, 60)

// A quantile against a count: it is one of the samples, at most a share q of the samples
// is below it, and more than q is at or below it.
func TestQuantileAgainstACount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := drawNumbers.Draw(t, "samples")
		s := numbers(xs...)
		q := rapid.Float64Range(0, 0.999).Draw(t, "q")
		got := s.quantile(q)
		require.Contains(t, xs, got)
		below, upTo := 0, 0
		for _, x := range xs {
			if x < got {
				below++
			}
			if x <= got {
				upTo++
			}
		}
		n := float64(len(xs))
		require.LessOrEqual(t, float64(below), q*n)
		require.Greater(t, float64(upTo), q*n)
		require.Equal(t, slices.Min(xs), s.quantile(0))
		require.Equal(t, slices.Max(xs), s.quantile(1))
	})
}

// Samples may be added after a quantile was computed.
func TestSamplesMayBeAddedLater(t *testing.T) {
	s := numbers(5, 1)
	require.Equal(t, int64(1), s.quantile(0))
	s.add(0)
	s.add(9)
	require.Equal(t, int64(0), s.quantile(0))
	require.Equal(t, int64(9), s.quantile(1))
	require.Equal(t, 3.75, s.mean())
}

func TestNoSamples(t *testing.T) {
	var s samples
	require.Zero(t, s.mean())
	require.Zero(t, s.quantile(0.5))
	require.Zero(t, s.gini())
	require.Equal(t, Dist{}, s.summary(1))
	require.Nil(t, s.dist(1))
}

func TestSummary(t *testing.T) {
	var s samples
	for x := int64(100); x >= 1; x-- {
		s.add(x * 1000)
	}
	want := Dist{Count: 100, Mean: 50.5, P5: 6, P25: 26, P50: 51, P75: 76, P95: 96, P99: 100, Max: 100}
	require.Equal(t, want, s.summary(1000))
	require.Equal(t, &want, s.dist(1000))
}

// The Gini coefficient by its definition: half of the mean difference of two samples,
// relative to their mean.
func TestGiniAgainstItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := drawNumbers.Draw(t, "samples")
		sum, differences := 0.0, 0.0
		for _, x := range xs {
			sum += float64(x)
			for _, y := range xs {
				differences += math.Abs(float64(x - y))
			}
		}
		want := 0.0
		if sum > 0 {
			want = differences / (2 * float64(len(xs)) * sum)
		}
		got := numbers(xs...).gini()
		require.InDelta(t, want, got, 1e-9)
		require.Less(t, got, 1.0)
	})
	require.InDelta(t, 0, numbers(7, 7, 7, 7).gini(), 1e-15, "all alike")
	require.InDelta(t, 0.75, numbers(0, 0, 0, 100).gini(), 1e-15, "one of four serves all")
}

func TestMeanAndSigma(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.Float64Range(-100, 100), 1, 50).Draw(t, "xs")
		mean, sigma := meanAndSigma(xs)
		sum, squares := 0.0, 0.0
		for _, x := range xs {
			sum += x
			squares += x * x
		}
		n := float64(len(xs))
		require.InDelta(t, sum/n, mean, 1e-9)
		require.InDelta(t, squares/n-sum/n*sum/n, sigma*sigma, 1e-9, "the mean of the squares less the square of the mean")
	})
	mean, sigma := meanAndSigma(nil)
	require.Zero(t, mean)
	require.Zero(t, sigma)
}

func TestShare(t *testing.T) {
	var s share
	require.Zero(t, s.value(), "there is no whole")
	s.add(1, 4)
	s.add(2, 2)
	s.add(0, 0)
	require.Equal(t, 0.5, s.value())
}

// round keeps five digits, and does not change a rounded number.
func TestRound(t *testing.T) {
	for x, want := range map[float64]float64{
		0: 0, 1: 1, 0.1: 0.1, 1.0 / 3: 0.33333, 2.0 / 3: 0.66667, 123.456: 123.46, 99999.6: 100000, 1234567: 1234567,
		-1.0 / 3: -0.33333, 0.000123456: 0.00012346, 1e-9: 1e-9, 1e-305: 0,
	} {
		require.Equal(t, want, round(x))
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		require.Zero(t, round(x), "JSON has no such number")
	}
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(-1e9, 1e9).Draw(t, "x")
		got := round(x)
		require.Equal(t, got, round(got))
		require.InDelta(t, x, got, max(math.Abs(x)*5e-5, tiny))
	})
}
