package workload

import (
	"slices"
	"time"
)

// Figure is one measured value.
type Figure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
	// Less means that smaller values are better.
	Less bool `json:"less"`
}

func more(name, unit string, v float64) Figure { return Figure{Name: name, Unit: unit, Value: v} }
func less(name, unit string, v float64) Figure {
	return Figure{Name: name, Unit: unit, Value: v, Less: true}
}

// latencies are the durations of single calls. One goroutine owns them.
type latencies struct {
	all    []time.Duration
	sorted bool
}

func (l *latencies) add(d time.Duration) { l.all, l.sorted = append(l.all, d), false }

// us returns a percentile in microseconds.
func (l *latencies) us(p float64) float64 {
	if len(l.all) == 0 {
		return 0
	}
	if !l.sorted {
		slices.Sort(l.all)
		l.sorted = true
	}
	return float64(l.all[min(int(float64(len(l.all))*p), len(l.all)-1)].Nanoseconds()) / 1e3
}

// ms returns a percentile in milliseconds. At 1 it is the maximum.
func (l *latencies) ms(p float64) float64 { return l.us(p) / 1e3 }

// percentiles returns percentiles as figures in microseconds.
func (l *latencies) percentiles(name string, ps ...float64) (out []Figure) {
	names := map[float64]string{0.5: " p50", 0.99: " p99", 0.999: " p999"}
	for _, p := range ps {
		out = append(out, less(name+names[p], "us", l.us(p)))
	}
	return out
}
