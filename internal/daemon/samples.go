package daemon

import (
	"math"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/cputime"
	"github.com/holdfast-dht/holdfast/internal/history"
	"github.com/holdfast-dht/holdfast/internal/verdict"
	"github.com/holdfast-dht/holdfast/metrics"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// The counters of a history.Sample. After them come the rejections of requests from peers and
// of requests to peers, each by reason in the order of reasons.
const (
	countIn = iota
	countOut
	countReceived
	countSent
	countLookups
	countFailures
	countCPU // nanoseconds
	countTimedOut
	countLibp2p  // refused by libp2p's resource manager
	countQueries // lookups of this node that were refused
	countCrowded // connections: too many with one address
	countTooFast // connections: too many new ones from one address

	numCounts = 12
)

// reasons are all reasons of rejections, sorted.
var reasons = metrics.Reasons()

// The levels of a history.Sample.
const (
	levelConnected = iota
	levelVerified
	levelProviders
	levelValues
	levelMemory
	levelP95 // of the lookups since the last sample, in ms
)

const seriesRequestsIn = "requests_in"

// historyOf returns the series of a ring.
func historyOf(r *history.Ring) api.History {
	cpu := r.Rates(countCPU)
	for i := range cpu {
		cpu[i] /= 1e9 // nanoseconds per second are cores
	}
	return api.History{
		StepSeconds: history.Step.Seconds(), From: r.From(),
		Series: map[string]api.Series{
			seriesRequestsIn: r.Rates(countIn), "requests_out": r.Rates(countOut),
			"bytes_in": r.Rates(countReceived), "bytes_out": r.Rates(countSent),
			"lookups": r.Rates(countLookups), "failures": r.Rates(countFailures), "cpu": cpu,
			"connected": r.Levels(levelConnected), "verified": r.Levels(levelVerified),
			"provider_records": r.Levels(levelProviders), "values": r.Levels(levelValues),
			"memory_bytes": r.Levels(levelMemory), "p95_ms": r.Levels(levelP95),
		},
	}
}

// sample returns the sample of a moment, without the level levelP95.
func (d *Daemon) sample(s *node.Status, t *metrics.Totals) history.Sample {
	c := make([]uint64, numCounts, numCounts+2*len(reasons))
	for i := range t.In {
		c[countIn] += t.In[i]
		c[countOut] += t.Out[i]
	}
	for kind, q := range t.Queries {
		if kind != int(dht.Correct) {
			c[countLookups] += q.Done
		}
	}
	c[countReceived], c[countSent], c[countFailures] = t.Received, t.Sent, t.Rejected+t.OutFailed
	c[countCPU], c[countTimedOut] = uint64(cputime.Used()), t.OutTimedOut
	c[countLibp2p], c[countQueries] = d.blocked.n.Load(), s.Load.RefusedQueries
	refused := d.crowded.counts()
	c[countCrowded], c[countTooFast] = refused.Limit, refused.Rate
	for _, by := range []map[string]uint64{t.RejectedBy, t.OutFailedBy} {
		for _, reason := range reasons {
			c = append(c, by[reason])
		}
	}
	now := time.Now()
	return history.Sample{At: now, Wall: now.Round(0), Counters: c, Levels: []float64{
		levelConnected: float64(s.Connected), levelVerified: float64(s.VerifiedPeers),
		levelProviders: float64(s.Records.Records[records.KindProvider]), levelValues: float64(s.Records.Records[records.KindValue]),
		levelMemory: float64(heldMemory()), levelP95: math.NaN(),
	}}
}

// observe is what the daemon's recorder takes.
func (d *Daemon) observe() observed {
	s, t := d.node.Status(), d.metrics.Totals()
	sample := d.sample(&s, &t)
	return observed{
		Sample: sample, overdue: s.Republish.Overdue, untaken: s.Republish.UnannouncedFailed, verified: s.VerifiedPeers,
		latencies: d.latencies.counts(),
	}
}

// rejectedBy returns the counter of the rejections with a reason: of requests from peers.
func rejectedBy(counters []uint64, reason string) uint64 {
	i, _ := slices.BinarySearch(reasons, reason)
	return counters[numCounts+i]
}

// refusedIn returns what was refused for lack of capacity in the time that the counters are of.
func refusedIn(counters []uint64) verdict.Refused {
	return verdict.Refused{
		Requests: counters[countIn], Libp2p: counters[countLibp2p], Queries: counters[countQueries],
		Streams: rejectedBy(counters, rpc.ReasonStreams), Memory: rejectedBy(counters, rpc.ReasonMemory), Busy: rejectedBy(counters, node.ReasonBusy),
	}
}

func refusedTotal(counters []uint64) uint64 {
	r := refusedIn(counters)
	return r.Total()
}

// since returns what was counted after earlier: nothing if earlier is the newer one.
func since(now, earlier []uint64) []uint64 {
	out := make([]uint64, len(now))
	for i, n := range now {
		out[i] = n - min(n, earlier[i])
	}
	return out
}

// failuresOf returns the failures in the time that the counters are of.
func failuresOf(counters []uint64, window time.Duration) api.Failures {
	f := api.Failures{WindowSeconds: window.Seconds(), In: map[string]uint64{}, Out: map[string]uint64{}}
	for i, reason := range reasons {
		addCount(f.In, &f.InTotal, reason, counters[numCounts+i])
		addCount(f.Out, &f.OutTotal, reason, counters[numCounts+len(reasons)+i])
	}
	addCount(f.In, &f.InTotal, metrics.RefusedLimit, counters[countCrowded])
	addCount(f.In, &f.InTotal, metrics.RefusedRate, counters[countTooFast])
	addCount(f.Out, &f.OutTotal, rpc.TimedOut.String(), counters[countTimedOut])
	return f
}

func addCount(by map[string]uint64, total *uint64, reason string, n uint64) {
	if n > 0 {
		by[reason] += n
		*total += n
	}
}
