package dht

import "time"

// softTimer computes the soft timeout: how long a lookup waits for an answer before it gives
// the peer's place to another. The request goes on until RequestTimeout. The soft timeout is
// the mean response time plus four mean deviations, over about 32 answers of different
// peers. TCP computes its retransmission timer the same way (RFC 6298). On a local network a
// dead peer then costs a quarter of a second instead of a whole one.
type softTimer struct {
	mean, dev time.Duration
	seen      int
}

// softTimeoutSamples is how many answers the mean covers, and how many must have come
// before it is used.
const softTimeoutSamples = 32

func (s *softTimer) answered(took time.Duration) {
	n := time.Duration(min(s.seen+1, softTimeoutSamples))
	s.dev += ((took - s.mean).Abs() - s.dev) / n
	s.mean += (took - s.mean) / n
	s.seen = int(n)
}

// timeout is at least MinSoftTimeout and at most the given one.
func (s *softTimer) timeout(most time.Duration) time.Duration {
	if s.seen < softTimeoutSamples {
		return most
	}
	return min(max(s.mean+4*s.dev, MinSoftTimeout), most)
}
