package dht

import "github.com/holdfast-dht/holdfast/pkg/kad"

// sizeWindow is how many queries the network size estimate averages.
const sizeWindow = 32

// sizeEstimate fits the network size N to the distances of the closest peers. With
// uniform keys the i-th nearest of N peers is at i/(N+1) of the keyspace on average, so
// N+1 is the least-squares slope over i = 1..k.
type sizeEstimate struct {
	sums  [sizeWindow]float64 // sum of i*d_i per query
	n     int
	next  int
	ranks float64 // sum of i*i
	small float64 // the size of a network smaller than k
}

func (s *sizeEstimate) observe(target kad.Key, closest []kad.Peer, k int) {
	if len(closest) < k {
		s.small = float64(len(closest) + 1)
		s.n = 0
		return
	}
	s.small, s.ranks = 0, 0
	sum := 0.0
	for i := range k {
		d := kad.Distance(&target, &closest[i].Key)
		sum += float64(i+1) * fraction(&d)
		s.ranks += float64((i + 1) * (i + 1))
	}
	s.sums[s.next] = sum
	s.next = (s.next + 1) % sizeWindow
	s.n = min(s.n+1, sizeWindow)
}

func (s *sizeEstimate) estimate() float64 {
	if s.n == 0 {
		return s.small
	}
	total := 0.0
	for i := range s.n {
		total += s.sums[(s.next-1-i+2*sizeWindow)%sizeWindow]
	}
	return s.ranks / (total / float64(s.n))
}

// fraction returns a distance as a fraction of the keyspace, 0 to 1.
func fraction(d *kad.Key) float64 {
	f := 0.0
	for i := 15; i >= 0; i-- {
		f = (f + float64(d[i])) / 256
	}
	return f
}
