package usage

import (
	"sync/atomic"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// counters are the costs of one peer, or of several together. Safe for concurrent use.
type counters struct {
	requests [NumTypes]atomic.Uint64
	rejected atomic.Uint64
	bytesIn  atomic.Uint64
	bytesOut atomic.Uint64
	busy     atomic.Int64 // nanoseconds
	stored   atomic.Uint64
	first    atomic.Int64 // unix seconds, 0: never
	last     atomic.Int64
}

// count adds one request.
func (c *counters) count(s *rpc.Stats, now time.Time) {
	t := min(s.Type, wire.NumTypes)
	c.requests[t].Add(1)
	c.bytesIn.Add(uint64(s.BytesIn))
	c.bytesOut.Add(uint64(s.BytesOut))
	if t < wire.NumTypes { // otherwise it may be the time of a silent stream
		c.busy.Add(int64(s.Duration))
	}
	seconds := now.Unix()
	if c.last.Load() != seconds {
		c.last.Store(seconds)
		c.first.CompareAndSwap(0, seconds)
	}
	switch {
	case s.Outcome == rpc.Rejected:
		c.rejected.Add(1)
	case t == wire.AddProvider, t == wire.PutValue:
		c.stored.Add(1)
	}
}

// merge adds the counters of an evicted peer.
func (c *counters) merge(o *counters) {
	for t := range c.requests {
		c.requests[t].Add(o.requests[t].Load())
	}
	c.rejected.Add(o.rejected.Load())
	c.bytesIn.Add(o.bytesIn.Load())
	c.bytesOut.Add(o.bytesOut.Load())
	c.busy.Add(o.busy.Load())
	c.stored.Add(o.stored.Load())
	if first := o.first.Load(); c.first.Load() == 0 || first != 0 && first < c.first.Load() {
		c.first.Store(first)
	}
	c.last.Store(max(c.last.Load(), o.last.Load()))
}
