package sim

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func tickTexts(a axis) string {
	var texts []string
	for _, t := range a.ticks() {
		texts = append(texts, t.text)
	}
	return strings.Join(texts, " ")
}

// The ends of axes of values are round numbers that the data reaches but does not pass.
func TestValueAxis(t *testing.T) {
	for high, want := range map[float64]string{
		-1: "0 0.25 0.5 0.75 1", 0: "0 0.25 0.5 0.75 1", 1: "0 0.25 0.5 0.75 1", 100: "0 25 50 75 100", 101: "0 50 100 150", 25: "0 10 20 30",
		0.0113: "0 0.005 0.01 0.015", 28.1: "0 10 20 30", 301: "0 100 200 300 400", 2.1: "0 1 2 3", 1e6: "0 250000 500000 750000 1000000",
	} {
		require.Equal(t, want, tickTexts(valueAxis(high)), "%v", high)
	}
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(1e-6, 1e12).Draw(t, "x")
		a := valueAxis(x)
		require.GreaterOrEqual(t, a.high*1.0001, x)
		require.Less(t, a.high, 1.6*x, "no axis is mostly empty")
		ticks := a.ticks()
		require.LessOrEqual(t, len(ticks), maxTicks+1)
		require.InEpsilon(t, a.high, ticks[len(ticks)-1].at, 1e-9)
	})
}

// Times are whole minutes, hours or days.
func TestAxisOfTime(t *testing.T) {
	for _, tt := range []struct {
		low, high  float64
		unit, want string
	}{
		{0, 0, "minutes", "0"},
		{0, 0.05, "minutes", "0 0.5 1 1.5 2 2.5 3"},
		{0, 0.1, "minutes", "0 1 2 3 4 5 6"},
		{0, 59. / 60, "minutes", "0 10 20 30 40 50"},
		{0, 1, "minutes", "0 10 20 30 40 50 60"},
		{0, 2, "minutes", "0 20 40 60 80 100 120"},
		{-0.25, 1, "minutes", "-15 0 15 30 45 60"},
		{0, 3, "hours", "0 0.5 1 1.5 2 2.5 3"},
		{0, 22, "hours", "0 6 12 18"},
		{0, 48, "hours", "0 12 24 36 48"},
		{0, 80, "days", "0 1 2 3"},
		{0, 365 * 24, "days", "0 100 200 300"},
	} {
		a := axisOfTime(tt.low, tt.high)
		require.Equal(t, tt.unit, a.unit)
		require.Equal(t, tt.want, tickTexts(a), "%v to %v", tt.low, tt.high)
	}
	rapid.Check(t, func(t *rapid.T) {
		high := rapid.Float64Range(0, 1e5).Draw(t, "high")
		a := axisOfTime(0, high)
		ticks := a.ticks()
		require.LessOrEqual(t, len(ticks), maxTicks+1)
		for _, x := range ticks {
			require.LessOrEqual(t, len(x.text), 4, "short: %v", x)
			require.LessOrEqual(t, x.at, high*1.0001)
		}
	})
}

// A plot over time begins at 0 and ends where the last phase ends.
func TestAxesOfAPlot(t *testing.T) {
	p := &plot{end: 1, lines: []line{{xs: []float64{1. / 60, 59. / 60}, ys: []float64{math.NaN(), 3}}}}
	xs, ys := p.axes()
	require.Equal(t, []float64{0, 1}, []float64{xs.low, xs.high})
	require.Equal(t, "0 1 2 3", tickTexts(ys))
	p.end = 0
	xs, _ = p.axes()
	require.InDelta(t, 59./60, xs.high, 1e-9)
	p.lines[0].xs[0] = -0.5
	xs, _ = p.axes()
	require.Equal(t, -0.5, xs.low)

	p.labels = []string{"a", "b", "c"}
	xs, _ = p.axes()
	require.Equal(t, axis{high: 2}, xs)
	require.Empty(t, xs.ticks())
	require.Equal(t, 0.5, (&axis{}).at(7), "an axis of one place")
}
