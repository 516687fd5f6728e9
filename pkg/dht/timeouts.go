package dht

import "time"

// Timeouts of requests and queries. "go" is go-libp2p-kad-dht.
const (
	// SoftTimeout is when a slow peer loses its place in a lookup; a late answer still
	// counts. Where answers come fast it is shorter, down to MinSoftTimeout; see softTimer.
	SoftTimeout    = time.Second
	MinSoftTimeout = 250 * time.Millisecond
	// LateTimeout is how long a lookup waits for a slow peer when there is no other peer
	// to ask and some peer has answered. In a network of few peers, one dead peer would
	// otherwise delay every lookup by RequestTimeout.
	LateTimeout = 3 * time.Second
	// RequestTimeout limits one request including its dial (go: 10 s).
	RequestTimeout = 10 * time.Second
	// QueryTimeout limits a whole query. If the lookup of a storing query takes all of
	// it, the stores get as long again.
	QueryTimeout = 60 * time.Second
	// RefreshTimeout limits one refresh lookup (go: 10 s).
	RefreshTimeout = 10 * time.Second
)

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
