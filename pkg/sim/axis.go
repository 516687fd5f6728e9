package sim

import (
	"math"

	"github.com/holdfast-dht/holdfast/internal/pagestyle"
)

// axis is the range of one axis of a plot, with ticks at multiples of step.
type axis struct {
	low, high float64
	step      float64 // 0: no ticks
	per       float64 // what a tick's number is divided by: hours in a unit of the axis
	unit      string
}

// axisTick is a labelled place on an axis.
type axisTick struct {
	at   float64
	text string
}

// maxTicks is the most intervals between the ticks of an axis.
const maxTicks = 6

// at is the share of the axis at which x lies.
func (a *axis) at(x float64) float64 {
	if a.high <= a.low {
		return 0.5
	}
	return (x - a.low) / (a.high - a.low)
}

// ticks returns the multiples of step on the axis.
func (a *axis) ticks() []axisTick {
	var out []axisTick
	if a.step <= 0 {
		return nil
	}
	for i := math.Ceil(a.low/a.step - 1e-6); float64(i*a.step) <= a.high+float64(a.step*1e-6); i++ {
		x := float64(i * a.step)
		out = append(out, axisTick{x, number(round(x / a.per))})
	}
	return out
}

// valueAxis begins at 0 and ends at a tick at or above high.
func valueAxis(high float64) axis {
	if high <= 0 {
		high = 1
	}
	step := pagestyle.NiceStep(high / 4)
	return axis{high: step * math.Ceil(high/step-1e-6), step: step, per: 1}
}

// timeUnits are the units of an axis of hours: a longer axis takes the next one.
var timeUnits = []struct {
	name  string
	hours float64
	upTo  float64   // hours
	steps []float64 // in this unit
}{
	{"minutes", 1. / 60, 2, []float64{0.25, 0.5, 1, 2, 5, 10, 15, 20, 30}},
	{"hours", 1, 72, []float64{0.5, 1, 2, 3, 6, 12}},
	{"days", 24, math.Inf(1), []float64{0.5, 1, 2, 5, 7, 14, 28}},
}

// axisOfTime is an axis from low to high, in hours, whose ticks are whole minutes, hours
// or days.
func axisOfTime(low, high float64) axis {
	for _, u := range timeUnits {
		if high-low > u.upTo {
			continue
		}
		for _, s := range u.steps {
			if step := s * u.hours; high-low <= step*maxTicks*1.0001 {
				return axis{low: low, high: high, step: step, per: u.hours, unit: u.name}
			}
		}
	}
	return axis{low: low, high: high, step: 24 * pagestyle.NiceStep((high-low)/24/maxTicks), per: 24, unit: "days"}
}

// timeAxis is the axis of a plot over time. It begins at 0, or where the first point is if
// that is earlier.
func (p *plot) timeAxis() axis {
	low, high := 0., p.end
	for _, l := range p.lines {
		for _, x := range l.xs {
			low, high = math.Min(low, x), math.Max(high, x)
		}
	}
	return axisOfTime(low, high)
}

// axes returns the axes of a plot. Every label has a place, even one without a point.
func (p *plot) axes() (xs, ys axis) {
	high := 0.
	for _, l := range p.lines {
		for _, y := range l.ys {
			if !math.IsNaN(y) {
				high = math.Max(high, y)
			}
		}
	}
	ys = valueAxis(high)
	if p.labels == nil {
		return p.timeAxis(), ys
	}
	return axis{high: float64(len(p.labels) - 1)}, ys
}
