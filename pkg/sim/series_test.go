package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A run of any length has about samplesPerRun points, at least a minute apart, and the
// last is not after the end of the run.
func TestPointsAreSpacedOverTheRun(t *testing.T) {
	for _, tt := range []struct {
		length, every time.Duration
		points        int
	}{
		{30 * time.Second, time.Minute, 0}, {5 * time.Minute, time.Minute, 5}, {96 * time.Minute, time.Minute, 96},
		{8 * time.Hour, 5 * time.Minute, 96}, {48 * time.Hour, 30 * time.Minute, 96},
	} {
		o := DefaultOptions()
		o.Nodes, o.Warmup, o.Duration = 2, time.Minute, tt.length
		o.Protocol.Refresh, o.Protocol.Liveness = 24*time.Hour, 24*time.Hour
		w := New(o, nil)
		require.Equal(t, tt.every, w.sampleEvery)
		require.NoError(t, w.Run(nil))
		var want []float64
		for at := tt.every; at < tt.length; at += tt.every {
			want = append(want, at.Hours())
		}
		var got []float64
		for _, p := range w.series {
			got = append(got, p.Hours)
		}
		require.InDelta(t, tt.points, len(got), 1)
		require.Equal(t, want, got)
	}
}

// A point covers the time since the previous point.
func TestAPointIsSinceTheOneBefore(t *testing.T) {
	w := quiet(30)
	w.sampleEvery = time.Minute
	w.beginPhase("main")
	point := func() Point {
		w.samplePoint()
		return w.series[len(w.series)-1]
	}
	require.Equal(t, Point{Hours: (w.now - w.opts.Warmup).Hours(), Servers: 30, Success: -1, Holders: -1}, point(), "nothing has happened")

	s := &w.phase.ops[opLookup]
	s.count, s.succeeded = 4, 3
	w.phase.ops[opProvide].count = 100 // provides do not count towards success
	w.phase.traffic[0].requests = 60
	p := point()
	require.Equal(t, 0.75, p.Success)
	require.Equal(t, 2.0, p.Messages, "60 requests, 30 servers, a minute")
	require.Equal(t, -1.0, point().Success, "none since then")

	w.setNow(w.now + time.Second)
	w.beginPhase("next")
	for k, add := range map[opKind]int{opSeek: 1, opFind: 2, opGet: 4} {
		w.phase.ops[k].count, w.phase.ops[k].succeeded = add, add-1
	}
	p = point()
	require.InDelta(t, 4.0/7, p.Success, 1e-12, "phases count together")

	c := w.newContent(false)
	w.track(c)
	w.stored(w.nodes[3], c.key, w.now+time.Hour)
	require.Equal(t, 1.0, point().Holders)
	w.stop(w.nodes[3])
	p = point()
	require.Zero(t, p.Holders)
	require.Equal(t, 1, p.Lost)
	require.Equal(t, 29, p.Servers)
	require.InDelta(t, 1.0/29, p.Stale, 0.01, "each table contains the stopped node")

	n := len(w.series)
	w.over = true
	w.samplePoint()
	require.Len(t, w.series, n, "what follows the end is not shown")
}
