package dht

import "time"

// patience is how long a lookup waits for a peer before it gives its place to another:
// the mean response time plus four mean deviations, over about 32 answers of different
// peers. TCP computes its retransmission timer the same way (RFC 6298). On a local
// network a dead peer then costs a quarter of a second instead of a whole one.
type patience struct {
	mean, dev time.Duration
	seen      int
}

// patienceSamples is how many answers the mean covers, and how many must have come
// before it is used.
const patienceSamples = 32

func (p *patience) answered(took time.Duration) {
	n := time.Duration(min(p.seen+1, patienceSamples))
	p.dev += ((took - p.mean).Abs() - p.dev) / n
	p.mean += (took - p.mean) / n
	p.seen = int(n)
}

// timeout is at least MinSoftTimeout and at most the given one.
func (p *patience) timeout(most time.Duration) time.Duration {
	if p.seen < patienceSamples {
		return most
	}
	return min(max(p.mean+4*p.dev, MinSoftTimeout), most)
}
