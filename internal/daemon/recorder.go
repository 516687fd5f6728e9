package daemon

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/history"
	"github.com/holdfast-dht/holdfast/internal/latency"
	"github.com/holdfast-dht/holdfast/internal/verdict"
)

const (
	// refusedWindow is the window of the requests that were refused for lack of capacity.
	refusedWindow = 5 * time.Minute
	// latencySteps is after how many samples a new window of latencies begins. Quantiles
	// are those of the current and the last window: 5 to 10 minutes.
	latencySteps = 10
	// clockBackLeast is by how much the clock must have been set back to be reported, and
	// clockBackFor for how long.
	clockBackLeast = time.Minute
	clockBackFor   = time.Hour
)

// observed is what a recorder reads at each step.
type observed struct {
	history.Sample     // its last level, levelP95, is set by the recorder
	overdue        int // published keys
	untaken        int // published keys that too few peers have ever stored
	verified       int // peers
	latencies      *latencyCounts
}

// recorded is what a recorder has kept, as of the last step. Immutable.
type recorded struct {
	at            time.Time // of the last sample
	history       api.History
	requestsIn    float64        // per second, in the last step
	hourAgo       history.Sample // the oldest one within an hour
	minutesAgo    history.Sample // one refusedWindow ago
	refusedSince  time.Time      // zero: nothing was refused within refusedWindow
	overdueSince  time.Time      // zero: no key is overdue
	untakenSince  time.Time      // zero: too few peers have ever stored no key, or no peer answers
	lowSince      time.Time      // zero: the table is not low
	clockBack     time.Duration
	clockBackAt   time.Time
	latencies     *latencyCounts // at the start of the window
	latenciesFrom time.Time
}

// recorder samples the node once a step. Its goroutine, run, owns all fields except last.
type recorder struct {
	take func() observed
	last atomic.Pointer[recorded] // nil: no sample yet

	ring          history.Ring
	steps         int
	lookups       latency.Counts // of the last sample
	wall          time.Time      // of the last sample
	now           recorded       // becomes last
	next          *latencyCounts // at the start of the next window of latencies
	nextFrom      time.Time
	refusedBefore uint64 // refused requests at the last sample
}

// newRecorder returns a recorder. previous is when the daemon was started the last time, or
// zero: it shows whether the clock has been set back since.
func newRecorder(take func() observed, previous time.Time) *recorder {
	return &recorder{take: take, wall: previous}
}

// run samples until ctx ends. While the node hangs there are no samples.
func (r *recorder) run(ctx context.Context) {
	tick := time.NewTicker(history.Step)
	defer tick.Stop()
	for {
		got := make(chan observed, 1)
		if err := within(ctx, func() error { got <- r.take(); return nil }); err != nil {
			return
		}
		r.record(<-got)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// record adds a sample and publishes what is kept.
func (r *recorder) record(o observed) {
	r.noteClock(&o)
	r.noteLatencies(&o)
	r.noteRefusals(&o)
	holdSince(&r.now.overdueSince, o.overdue > 0, o.At)
	holdSince(&r.now.untakenSince, o.untaken > 0 && o.verified > 0, o.At)
	holdSince(&r.now.lowSince, o.verified < verdict.LowTable, o.At)
	r.ring.Add(o.Sample)
	r.now.at = o.At
	r.now.hourAgo, _ = r.ring.Before(time.Hour)
	r.now.minutesAgo, _ = r.ring.Before(refusedWindow)
	r.now.history = historyOf(&r.ring)
	if rates := r.now.history.Series[seriesRequestsIn]; len(rates) > 0 && !math.IsNaN(rates[len(rates)-1]) {
		r.now.requestsIn = rates[len(rates)-1]
	}
	r.steps++
	published := r.now
	r.last.Store(&published)
}

// holdSince sets since to the time from which a condition has held.
func holdSince(since *time.Time, holds bool, now time.Time) {
	switch {
	case !holds:
		*since = time.Time{}
	case since.IsZero():
		*since = now
	}
}

// noteClock notices that the clock was set back since the last sample, or since the last start.
func (r *recorder) noteClock(o *observed) {
	var passed time.Duration // by the monotonic clock; unknown since the last start
	if r.steps > 0 {
		passed = o.At.Sub(r.now.at)
	}
	if back := passed - o.Wall.Sub(r.wall); !r.wall.IsZero() && back >= clockBackLeast {
		r.now.clockBack, r.now.clockBackAt = back, o.At
	}
	if o.At.Sub(r.now.clockBackAt) >= clockBackFor {
		r.now.clockBack = 0
	}
	r.wall = o.Wall
}

// noteLatencies sets the level levelP95 of the sample, and starts a new window when it is due.
func (r *recorder) noteLatencies(o *observed) {
	all := o.latencies.allLookups()
	step := all.Since(&r.lookups)
	o.Levels[levelP95] = math.NaN()
	if step.Total() > 0 {
		o.Levels[levelP95] = milliseconds(step.Quantile(0.95))
	}
	r.lookups = all
	if r.steps == 0 {
		r.next, r.nextFrom = o.latencies, o.At
	}
	if r.steps%latencySteps == 0 {
		r.now.latencies, r.now.latenciesFrom = r.next, r.nextFrom
		r.next, r.nextFrom = o.latencies, o.At
	}
}

// noteRefusals tracks since when requests have been refused for lack of capacity.
func (r *recorder) noteRefusals(o *observed) {
	all := refusedTotal(o.Counters)
	switch window := r.now.minutesAgo.Counters; {
	case r.steps > 0 && all > r.refusedBefore:
		holdSince(&r.now.refusedSince, true, r.now.at)
	case window == nil || all == refusedTotal(window):
		r.now.refusedSince = time.Time{}
	}
	r.refusedBefore = all
}
