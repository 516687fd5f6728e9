package latency

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// The buckets. Each power of two from lowest to highest has perOctave buckets of equal width,
// so the middle of a bucket is within 1/16 of every duration in it. Shorter durations share
// the first bucket, longer ones the last.
const (
	subBits   = 3
	perOctave = 1 << subBits
	lowest    = 13 // 2^13 ns: 8 µs
	highest   = 37 // 2^37 ns: 137 s, above every timeout

	numBuckets = (highest-lowest)*perOctave + 2
)

// Counts has the number of durations in each bucket.
type Counts [numBuckets]uint64

// Histogram counts durations. Safe for concurrent use.
type Histogram struct{ counts [numBuckets]atomic.Uint64 }

// Observe counts a duration.
func (h *Histogram) Observe(d time.Duration) { h.counts[bucketOf(d)].Add(1) }

// Counts returns what was counted since the start.
func (h *Histogram) Counts() (c Counts) {
	for i := range c {
		c[i] = h.counts[i].Load()
	}
	return c
}

// bucketOf returns the bucket of a duration.
func bucketOf(d time.Duration) int {
	switch {
	case d < 1<<lowest:
		return 0
	case d >= 1<<highest:
		return numBuckets - 1
	}
	octave := bits.Len64(uint64(d)) - 1
	sub := int(uint64(d)>>(octave-subBits)) - perOctave
	return 1 + (octave-lowest)*perOctave + sub
}

// middle returns the duration that represents a bucket: its middle, or the bound of the first
// and of the last.
func middle(bucket int) time.Duration {
	switch bucket {
	case 0:
		return 1 << lowest
	case numBuckets - 1:
		return 1 << highest
	}
	octave, sub := lowest+(bucket-1)/perOctave, (bucket-1)%perOctave
	width := time.Duration(1) << (octave - subBits)
	return time.Duration(perOctave+sub)*width + width/2
}

// Since returns what was counted after earlier.
func (c *Counts) Since(earlier *Counts) (d Counts) {
	for i := range d {
		d[i] = c[i] - earlier[i]
	}
	return d
}

// Add adds the counts of other.
func (c *Counts) Add(other *Counts) {
	for i := range c {
		c[i] += other[i]
	}
}

// Total returns the number of durations.
func (c *Counts) Total() (n uint64) {
	for _, x := range c {
		n += x
	}
	return n
}

// Quantile returns the duration that a share q, from 0 to 1, of all durations do not exceed;
// 0 if there are none.
func (c *Counts) Quantile(q float64) time.Duration {
	total := c.Total()
	if total == 0 {
		return 0
	}
	rank := min(uint64(q*float64(total)), total-1) // of the duration, from 0
	for i, x := range c {
		if rank < x {
			return middle(i)
		}
		rank -= x
	}
	return 0 // not reached: the ranks add up to total
}
