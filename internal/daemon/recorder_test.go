package daemon

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/history"
	"github.com/holdfast-dht/holdfast/internal/verdict"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// world is what a recorder of a test observes.
type world struct {
	now               time.Time
	clock             time.Duration // how far the clock of the machine is ahead of now
	in, libp2p        uint64
	overdue, verified int
	untaken           int
	l                 latencies
}

func (w *world) observe() observed {
	c := make([]uint64, numCounts+2*len(reasons))
	c[countIn], c[countLibp2p] = w.in, w.libp2p
	return observed{
		Sample:  history.Sample{At: w.now, Wall: w.now.Add(w.clock).Round(0), Counters: c, Levels: make([]float64, levelP95+1)},
		overdue: w.overdue, untaken: w.untaken, verified: w.verified, latencies: w.l.counts(),
	}
}

func (w *world) lookup(took time.Duration) {
	lookupLatencies{dht.NopObserver{}, &w.l}.QueryDone(dht.QueryStats{Kind: dht.FindValue, Duration: took})
}

// steps records n samples, one a step, and returns what is kept.
func (w *world) steps(r *recorder, n int) *recorded {
	for range n {
		w.now = w.now.Add(history.Step)
		r.record(w.observe())
	}
	return r.last.Load()
}

func newWorld() (*world, *recorder) {
	w := &world{now: time.Unix(1e9, 0), verified: 100}
	r := newRecorder(w.observe, time.Time{})
	w.steps(r, 1)
	return w, r
}

// The recorder takes a sample at the start and one every step, and no more; it ends with its
// context.
func TestRecorderSamplesOnceAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		var taken atomic.Int64
		r := newRecorder(func() observed { taken.Add(1); w.now = time.Now(); w.in += 60; return w.observe() }, time.Time{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.run(ctx); close(done) }()
		synctest.Wait()
		require.EqualValues(t, 1, taken.Load())
		require.Empty(t, r.last.Load().history.Series[seriesRequestsIn])
		time.Sleep(3 * history.Step)
		synctest.Wait()
		require.EqualValues(t, 4, taken.Load())
		require.EqualValues(t, []float64{2, 2, 2}, r.last.Load().history.Series[seriesRequestsIn])
		require.Equal(t, 2.0, r.last.Load().requestsIn)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Len(t, r.last.Load().history.Series[seriesRequestsIn], history.Points)
		cancel()
		<-done
	})
}

// A recorder whose node hangs ends with its context.
func TestRecorderOfANodeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, hangs := &world{}, make(chan struct{})
		r := newRecorder(func() observed { <-hangs; w.now = time.Now(); return w.observe() }, time.Time{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.run(ctx); close(done) }()
		time.Sleep(time.Hour)
		require.Nil(t, r.last.Load())
		cancel()
		<-done
		close(hangs)
	})
}

// While the node hangs there are no samples, and the history has a gap.
func TestRecorderHasAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, hangs := &world{}, make(chan struct{}, 1)
		hangs <- struct{}{} // the first sample does not wait
		r := newRecorder(func() observed { <-hangs; w.now = time.Now(); return w.observe() }, time.Time{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.run(ctx); close(done) }()
		time.Sleep(10 * history.Step)
		require.Empty(t, r.last.Load().history.Series[seriesRequestsIn])
		close(hangs)
		synctest.Wait()
		series := r.last.Load().history.Series[seriesRequestsIn]
		require.GreaterOrEqual(t, len(series), 10)
		for _, rate := range series[:10] {
			require.True(t, math.IsNaN(rate))
		}
		cancel()
		<-done
	})
}

// A condition begins with the first sample that has it, and ends with the first that does not.
func TestRecorderDatesConditions(t *testing.T) {
	w, r := newWorld()
	require.True(t, w.steps(r, 1).overdueSince.IsZero())
	require.Equal(t, dht.LowTable, verdict.LowTable, "the verdict and the Machine call the same table low")
	w.overdue, w.untaken, w.verified = 1, 1, 0
	require.True(t, w.steps(r, 1).untakenSince.IsZero(), "no peer could have stored it")
	w.overdue = 0
	w.steps(r, 1)
	w.overdue, w.verified = 1, dht.LowTable-1
	first := w.steps(r, 1).at
	got := w.steps(r, 10)
	require.Equal(t, first, got.overdueSince)
	require.Equal(t, first, got.untakenSince)
	require.True(t, got.lowSince.Before(first))
	w.overdue, w.untaken, w.verified = 0, 0, dht.LowTable
	got = w.steps(r, 1)
	require.True(t, got.overdueSince.IsZero())
	require.True(t, got.untakenSince.IsZero())
	require.True(t, got.lowSince.IsZero())
}

// Refusals are dated from the step in which they began until there was none for a window.
func TestRecorderDatesRefusals(t *testing.T) {
	w, r := newWorld()
	before := w.steps(r, 1)
	require.True(t, before.refusedSince.IsZero())
	w.libp2p++
	require.Equal(t, before.at, w.steps(r, 1).refusedSince)
	perWindow := int(refusedWindow / history.Step)
	require.Equal(t, before.at, w.steps(r, perWindow-1).refusedSince)
	w.libp2p++
	require.Equal(t, before.at, w.steps(r, 1).refusedSince, "without a pause of a window")
	require.True(t, w.steps(r, perWindow+2).refusedSince.IsZero())
	require.Equal(t, refusedWindow, r.last.Load().at.Sub(r.last.Load().minutesAgo.At))
}

// A clock that was set back is reported for an hour; one that was set forward is not, and
// neither is a correction of less than a minute.
func TestRecorderNoticesTheClock(t *testing.T) {
	w, r := newWorld()
	w.clock -= clockBackLeast - 1
	require.Zero(t, w.steps(r, 1).clockBack)
	w.clock += 48 * time.Hour
	require.Zero(t, w.steps(r, 1).clockBack)
	w.clock -= 48 * time.Hour
	got := w.steps(r, 1)
	require.Equal(t, 48*time.Hour, got.clockBack)
	require.Equal(t, got.at, got.clockBackAt)
	perHour := int(clockBackFor / history.Step)
	require.NotZero(t, w.steps(r, perHour-1).clockBack)
	require.Zero(t, w.steps(r, 1).clockBack)

	w.clock -= clockBackLeast
	require.Equal(t, clockBackLeast, w.steps(r, 1).clockBack)

	r = newRecorder(w.observe, w.now.Add(w.clock).Add(time.Hour)) // the last start was in the future
	require.NotZero(t, w.steps(r, 1).clockBack)
}

// The quantiles are those of the last five to ten minutes; the history has those of each step.
func TestRecorderLatencies(t *testing.T) {
	w, r := newWorld()
	window := func() (count uint64, p95 float64) {
		last := r.last.Load()
		q := w.l.counts().since(last.latencies, 0).Lookups["find_value"]
		return q.Count, q.P95Ms
	}
	for range 4 * latencySteps {
		w.lookup(time.Second)
		w.steps(r, 1)
	}
	count, p95 := window()
	require.InEpsilon(t, 1000, p95, 0.07)
	require.GreaterOrEqual(t, count, uint64(latencySteps))
	require.LessOrEqual(t, count, uint64(2*latencySteps))
	series := r.last.Load().history.Series["p95_ms"]
	require.InEpsilon(t, 1000, series[len(series)-1], 0.07)
	require.True(t, math.IsNaN(w.steps(r, 1).history.Series["p95_ms"][len(series)]), "no lookup in this step")
	w.steps(r, 2*latencySteps)
	count, _ = window()
	require.Zero(t, count)
}

// Each observer counts what was answered, by type and direction.
func TestLatenciesByType(t *testing.T) {
	var l latencies
	start := l.counts()
	l.Inbound(rpc.Stats{Type: wire.FindNode, Outcome: rpc.Replied, Duration: time.Millisecond})
	l.Inbound(rpc.Stats{Type: wire.FindNode, Outcome: rpc.Rejected, Duration: time.Second})
	l.Inbound(rpc.Stats{Type: wire.NumTypes + 1, Outcome: rpc.Replied, Duration: time.Second})
	l.Outbound(rpc.Stats{Type: wire.AddProvider, Outcome: rpc.NoReply, Duration: time.Second})
	l.Outbound(rpc.Stats{Type: wire.AddProvider, Outcome: rpc.TimedOut, Duration: time.Second})
	o := lookupLatencies{dht.NopObserver{}, &l}
	o.QueryDone(dht.QueryStats{Kind: dht.FindPeer, Outcome: dht.OutcomeNotFound, Duration: time.Second})
	o.QueryDone(dht.QueryStats{Kind: dht.FindPeer, Outcome: dht.OutcomeCancelled, Duration: time.Second})
	o.QueryDone(dht.QueryStats{Kind: dht.Correct, Duration: time.Second})
	got := l.counts().since(start, time.Minute)
	require.Equal(t, 60.0, got.WindowSeconds)
	require.Len(t, got.In, 1)
	require.EqualValues(t, 1, got.In["FIND_NODE"].Count)
	require.InEpsilon(t, 1, got.In["FIND_NODE"].P50Ms, 0.07)
	require.Len(t, got.Out, 1)
	require.EqualValues(t, 1, got.Out["ADD_PROVIDER"].Count)
	require.EqualValues(t, 1, got.Lookups["find_peer"].Count)
	all := l.counts().allLookups()
	require.EqualValues(t, 1, all.Total(), "without corrections")
}

// Failures and refusals come from their own counters.
func TestCountersByReason(t *testing.T) {
	c := make([]uint64, numCounts+2*len(reasons))
	c[countIn], c[countTimedOut], c[countLibp2p], c[countQueries] = 100, 1, 2, 3
	for i, reason := range reasons {
		switch reason {
		case rpc.ReasonStreams:
			c[numCounts+i] = 10
		case rpc.ReasonMemory:
			c[numCounts+i] = 20
		case "busy":
			c[numCounts+i] = 30
		case rpc.ReasonUnreachable:
			c[numCounts+len(reasons)+i] = 40
		}
	}
	f := failuresOf(c, time.Hour)
	require.Equal(t, map[string]uint64{"too_many_streams": 10, "memory": 20, "busy": 30}, f.In)
	require.Equal(t, map[string]uint64{"unreachable": 40, "timeout": 1}, f.Out)
	require.EqualValues(t, 60, f.InTotal)
	require.EqualValues(t, 41, f.OutTotal)
	require.Equal(t, 3600.0, f.WindowSeconds)
	r := refusedIn(c)
	require.EqualValues(t, 65, r.Total())
	require.EqualValues(t, 100, r.Requests)
	none := make([]uint64, len(c))
	require.Equal(t, none, since(c, c))
	require.Equal(t, none, since(none, c), "an earlier sample that is newer")
	require.Equal(t, c, since(c, none))
}
