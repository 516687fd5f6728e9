package history

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var start = time.Unix(1e9, 0)

func sample(step int, counter uint64) Sample {
	return at(start.Add(time.Duration(step)*Step), Sample{Counters: []uint64{0, counter}, Levels: []float64{float64(counter), math.NaN()}})
}

// at dates a sample.
func at(t time.Time, s Sample) Sample {
	s.At, s.Wall = t, t
	return s
}

func TestEmpty(t *testing.T) {
	var r Ring
	require.Zero(t, r.Len())
	require.True(t, r.From().IsZero())
	require.Empty(t, r.Rates(0))
	_, ok := r.Before(time.Hour)
	require.False(t, ok)
	r.Add(sample(0, 7))
	require.Zero(t, r.Len())
	require.True(t, r.From().IsZero())
	s, ok := r.Before(time.Hour)
	require.True(t, ok)
	require.Equal(t, start, s.At)
}

func TestSeries(t *testing.T) {
	var r Ring
	for i, n := range []uint64{5, 35, 35, 95} {
		r.Add(sample(i, n))
	}
	require.Equal(t, 3, r.Len())
	require.Equal(t, start.Add(Step), r.From())
	require.Equal(t, []float64{1, 0, 2}, r.Rates(1))
	require.Equal(t, []float64{0, 0, 0}, r.Rates(0))
	require.Equal(t, []float64{35, 35, 95}, r.Levels(0))
	require.True(t, math.IsNaN(r.Levels(1)[2]))
}

// A step that took longer has the rate of its real length, and missed steps are unknown.
func TestGaps(t *testing.T) {
	var r Ring
	r.Add(sample(0, 0))
	late := at(start.Add(40*time.Second), sample(0, 120))
	r.Add(late)
	require.Equal(t, []float64{3}, r.Rates(1))
	r.Add(at(late.At.Add(3*Step), Sample{Counters: []uint64{0, 120}, Levels: []float64{1, 1}}))
	rates, levels := r.Rates(1), r.Levels(0)
	require.Len(t, rates, 4)
	for i := 1; i < 4; i++ {
		require.True(t, math.IsNaN(rates[i]))
		require.Equal(t, i < 3, math.IsNaN(levels[i]))
	}
	r.Add(at(late.At.Add(1000*time.Hour), Sample{Counters: []uint64{0, 120}, Levels: []float64{1, 1}}))
	require.Equal(t, Points, r.Len())
	s, ok := r.Before(time.Hour)
	require.True(t, ok, "the last sample is the only known one")
	require.Equal(t, late.At.Add(1000*time.Hour), s.At)
	r.Add(at(late.At.Add(1000*time.Hour), late))
	require.True(t, math.IsNaN(r.Rates(1)[Points-1]), "no time has passed")
}

// While the machine is suspended, only the wall clock goes on. One that is set back leaves no
// gap.
func TestGapOfASuspend(t *testing.T) {
	var r Ring
	r.Add(sample(0, 0))
	resumed := sample(1, 30)
	resumed.Wall = resumed.Wall.Add(10 * Step)
	r.Add(resumed)
	require.Equal(t, 11, r.Len())
	for _, rate := range r.Rates(1) {
		require.True(t, math.IsNaN(rate))
	}
	back := sample(2, 60)
	back.Wall = back.Wall.Add(-time.Hour)
	r.Add(back)
	require.Equal(t, 12, r.Len())
	require.Equal(t, 1.0, r.Rates(1)[11])
}

// Against a list of all samples that is never shortened.
func TestRingAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Ring
		var all []Sample
		for range rapid.IntRange(1, 3*Points).Draw(t, "samples") {
			n := uint64(rapid.IntRange(0, 100).Draw(t, "n"))
			if len(all) > 0 {
				n += all[len(all)-1].Counters[1]
			}
			s := sample(len(all), n)
			all = append(all, s)
			r.Add(s)
			require.LessOrEqual(t, r.Len(), Points)
			require.LessOrEqual(t, cap(r.samples), 2*(Points+1), "memory is bounded")
		}
		first := max(0, len(all)-1-Points)
		require.Equal(t, len(all)-1-first, r.Len())
		for i, got := range r.Rates(1) {
			require.Equal(t, float64(all[first+i+1].Counters[1]-all[first+i].Counters[1])/Step.Seconds(), got)
			require.Equal(t, all[first+i+1].Levels[0], r.Levels(0)[i])
		}
		back := rapid.IntRange(0, 2*Points).Draw(t, "back")
		got, ok := r.Before(time.Duration(back) * Step)
		require.True(t, ok)
		require.Equal(t, all[max(first, len(all)-1-back)], got)
	})
}
