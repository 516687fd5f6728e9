package daemon

import (
	"time"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/latency"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// latencies counts the durations of lookups and requests by type. Safe for concurrent use.
type latencies struct {
	lookups [dht.NumQueryKinds]latency.Histogram // without cancelled ones
	in, out [wire.NumTypes]latency.Histogram     // those that were answered
}

var _ rpc.Observer = (*latencies)(nil)

// Inbound implements rpc.Observer.
func (l *latencies) Inbound(s rpc.Stats) { observe(&l.in, &s) }

// Outbound implements rpc.Observer.
func (l *latencies) Outbound(s rpc.Stats) { observe(&l.out, &s) }

func observe(by *[wire.NumTypes]latency.Histogram, s *rpc.Stats) {
	if s.Type < wire.NumTypes && (s.Outcome == rpc.Replied || s.Outcome == rpc.NoReply) {
		by[s.Type].Observe(s.Duration)
	}
}

// lookupLatencies is a dht.Observer that passes on every call and counts the durations of
// queries.
type lookupLatencies struct {
	dht.Observer
	to *latencies
}

// QueryDone implements dht.Observer.
func (o lookupLatencies) QueryDone(s dht.QueryStats) {
	o.Observer.QueryDone(s)
	if s.Outcome != dht.OutcomeCancelled {
		o.to.lookups[s.Kind].Observe(s.Duration)
	}
}

// latencyCounts are the counts of all histograms at one moment.
type latencyCounts struct {
	lookups [dht.NumQueryKinds]latency.Counts
	in, out [wire.NumTypes]latency.Counts
}

func (l *latencies) counts() *latencyCounts {
	c := new(latencyCounts)
	for i := range c.lookups {
		c.lookups[i] = l.lookups[i].Counts()
	}
	for i := range c.in {
		c.in[i], c.out[i] = l.in[i].Counts(), l.out[i].Counts()
	}
	return c
}

// allLookups returns the counts of all kinds of lookups together. A correction stores a
// record without a lookup.
func (c *latencyCounts) allLookups() (sum latency.Counts) {
	for kind := range c.lookups {
		if kind != int(dht.Correct) {
			sum.Add(&c.lookups[kind])
		}
	}
	return sum
}

// since returns the quantiles of what was counted after earlier.
func (c *latencyCounts) since(earlier *latencyCounts, window time.Duration) api.Latency {
	out := api.Latency{
		WindowSeconds: window.Seconds(),
		Lookups:       map[string]api.Quantiles{}, In: map[string]api.Quantiles{}, Out: map[string]api.Quantiles{},
	}
	for kind := range c.lookups {
		addQuantiles(out.Lookups, dht.QueryKind(kind).String(), &c.lookups[kind], &earlier.lookups[kind])
	}
	for t := range c.in {
		addQuantiles(out.In, wire.Type(t).String(), &c.in[t], &earlier.in[t])
		addQuantiles(out.Out, wire.Type(t).String(), &c.out[t], &earlier.out[t])
	}
	return out
}

func addQuantiles(to map[string]api.Quantiles, name string, now, earlier *latency.Counts) {
	c := now.Since(earlier)
	if n := c.Total(); n > 0 {
		to[name] = api.Quantiles{Count: n, P50Ms: milliseconds(c.Quantile(0.5)), P95Ms: milliseconds(c.Quantile(0.95))}
	}
}
