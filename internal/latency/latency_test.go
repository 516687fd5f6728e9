package latency

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// maxError is the largest relative error of a quantile from 8 µs to 137 s.
const maxError = 1.0 / (2 * perOctave)

// anyDuration draws from all magnitudes.
var anyDuration = rapid.Custom(func(t *rapid.T) time.Duration {
	return time.Duration(math.Exp2(rapid.Float64Range(0, 45).Draw(t, "log2")))
})

// The quantiles of a window against those of its sorted durations, whatever came before it.
func TestQuantilesAgainstSortedDurations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Histogram
		for _, d := range rapid.SliceOfN(anyDuration, 0, 20).Draw(t, "before") {
			h.Observe(d)
		}
		start := h.Counts()
		window := rapid.SliceOfN(anyDuration, 1, 200).Draw(t, "window")
		for _, d := range window {
			h.Observe(d)
		}
		now := h.Counts()
		c := now.Since(&start)
		require.EqualValues(t, len(window), c.Total())
		slices.Sort(window)
		for _, q := range []float64{0, 0.5, 0.95, 1} {
			want := window[min(int(q*float64(len(window))), len(window)-1)]
			want = min(max(want, 1<<lowest), 1<<highest)
			require.InEpsilon(t, float64(want), float64(c.Quantile(q)), maxError, "quantile %v of %v", q, window)
		}
	})
}

// Every duration is in one bucket, and the buckets are in order.
func TestBuckets(t *testing.T) {
	for d, want := range map[time.Duration]int{
		-1: 0, 0: 0, 1<<lowest - 1: 0, 1 << lowest: 1, 1<<(lowest+1) - 1: perOctave, 1 << (lowest + 1): perOctave + 1,
		1<<highest - 1: numBuckets - 2, 1 << highest: numBuckets - 1, math.MaxInt64: numBuckets - 1,
	} {
		require.Equal(t, want, bucketOf(d), "%d", d)
	}
	for i := range numBuckets {
		require.Equal(t, i, bucketOf(middle(i)-boolBit(i == 0)))
	}
}

// boolBit is 1 for the first bucket, whose middle is its bound.
func boolBit(is bool) time.Duration {
	if is {
		return 1
	}
	return 0
}

func TestNothingCounted(t *testing.T) {
	var c Counts
	require.Zero(t, c.Quantile(0.5))
	require.Zero(t, c.Total())
}

// Concurrent observers lose nothing.
func TestObserveConcurrently(t *testing.T) {
	var h Histogram
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 1000 {
				h.Observe(time.Duration(i+1) * time.Millisecond)
			}
		})
	}
	all.Wait()
	c := h.Counts()
	require.EqualValues(t, 4000, c.Total())
	var double Counts
	double.Add(&c)
	double.Add(&c)
	require.EqualValues(t, 8000, double.Total())
	require.Equal(t, c.Quantile(0.5), double.Quantile(0.5))
}

func TestObserveDoesNotAllocate(t *testing.T) {
	var h Histogram
	require.Zero(t, testing.AllocsPerRun(100, func() { h.Observe(time.Second) }))
}
