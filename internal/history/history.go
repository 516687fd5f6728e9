package history

import (
	"math"
	"time"
)

// Points bounds the values of a series: an hour of half minutes.
const Points = 120

// Step is the time between two samples.
const Step = 30 * time.Second

// Sample is what was counted and measured at one moment. All samples of a ring have the same
// counters and levels. A sample is not changed after it was added.
type Sample struct {
	At       time.Time
	Wall     time.Time // At without its monotonic reading, which stands still while the machine is suspended
	Counters []uint64  // totals, which only grow
	Levels   []float64 // NaN: unknown
}

// Ring holds the last samples. The zero Ring is empty. Owned by one goroutine.
type Ring struct{ samples []Sample } // at most Points+1, oldest first

// Add adds a sample. Steps without one by the wall clock, as while the machine was suspended,
// have unknown values.
func (r *Ring) Add(s Sample) {
	if n := len(r.samples); n > 0 {
		took := s.Wall.Sub(r.samples[n-1].Wall)
		for missed := min(int((took+Step/2)/Step)-1, Points); missed > 0; missed-- {
			r.add(Sample{At: s.At.Add(-time.Duration(missed) * Step)})
		}
	}
	r.add(s)
}

func (r *Ring) add(s Sample) {
	if len(r.samples) > Points {
		copy(r.samples, r.samples[1:])
		r.samples = r.samples[:Points]
	}
	r.samples = append(r.samples, s)
}

// Len returns the number of values in each series. The first sample alone has no rates.
func (r *Ring) Len() int { return max(len(r.samples)-1, 0) }

// From returns the time of the first value of each series, or zero if there is none.
func (r *Ring) From() time.Time {
	if r.Len() == 0 {
		return time.Time{}
	}
	return r.samples[len(r.samples)-1].At.Add(-time.Duration(r.Len()-1) * Step)
}

// Rates returns how fast a counter grew in each step, per second. NaN: unknown.
func (r *Ring) Rates(counter int) []float64 {
	out := make([]float64, r.Len())
	for i := range out {
		out[i] = rate(&r.samples[i], &r.samples[i+1], counter)
	}
	return out
}

func rate(before, after *Sample, counter int) float64 {
	took := after.At.Sub(before.At).Seconds()
	if before.Counters == nil || after.Counters == nil || took <= 0 {
		return math.NaN()
	}
	return float64(after.Counters[counter]-before.Counters[counter]) / took
}

// Levels returns a level at the end of each step. NaN: unknown.
func (r *Ring) Levels(level int) []float64 {
	out := make([]float64, r.Len())
	for i := range out {
		out[i] = math.NaN()
		if s := &r.samples[i+1]; s.Levels != nil {
			out[i] = s.Levels[level]
		}
	}
	return out
}

// Before returns the newest known sample that is at least d older than the last one, or the
// oldest known one if none is. ok is false if the ring is empty.
func (r *Ring) Before(d time.Duration) (found Sample, ok bool) {
	for _, s := range r.samples {
		if s.Counters == nil {
			continue
		}
		if ok && r.samples[len(r.samples)-1].At.Sub(s.At) < d {
			break
		}
		found, ok = s, true
	}
	return found, ok
}
