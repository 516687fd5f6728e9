package sim

import "math"

// strip is the distribution of an operation's time, drawn on an axis that all operations
// of a report share. Places are percent of its width.
type strip struct {
	Name    string // of the operation
	Numbers []fact

	From, To      float64 // of the whiskers: 5 % and 95 %
	Box, BoxWidth float64 // half of the samples
	Middle        float64
	Far           float64 // p99
}

// stripTick is a tick of the axis above the strips.
type stripTick struct {
	X            float64
	Text, Anchor string
}

// minBox keeps the box of nearly equal samples visible, in percent.
const minBox = 0.8

// timeOfOps is the axis of the strips: to the largest p99. The few larger samples would
// press all others together; the table has them as numbers.
func timeOfOps(phases []Phase) axis {
	high := 0.
	for i := range phases {
		for j := range phases[i].Ops {
			high = math.Max(high, phases[i].Ops[j].Took.P99)
		}
	}
	return valueAxis(high)
}

// strips returns the strips of a phase, with aligned numbers.
func strips(ops []Op, a *axis) []strip {
	var rows [][]string
	for i := range ops {
		d := &ops[i].Took
		rows = append(rows, []string{ops[i].Kind, number(d.P50), number(d.P95), number(d.P99), number(d.Max)})
	}
	var out []strip
	for i, row := range aligned(rows) {
		s := stripOf(&ops[i], a)
		for j, name := range []string{"p50 s", "p95 s", "p99 s", "Max s"} {
			s.Numbers = append(s.Numbers, fact{name, row[j+1]})
		}
		out = append(out, s)
	}
	return out
}

// stripOf returns the drawing of a strip.
func stripOf(o *Op, a *axis) strip {
	at := func(x float64) float64 { return round(100 * a.at(x)) }
	d := &o.Took
	s := strip{Name: o.Kind, From: at(d.P5), To: at(d.P95), Box: at(d.P25), Middle: at(d.P50), Far: at(d.P99)}
	s.BoxWidth = math.Max(round(at(d.P75)-s.Box), minBox)
	s.Box = math.Min(s.Box, 100-s.BoxWidth)
	return s
}

func stripTicks(a *axis) []stripTick {
	var out []stripTick
	for _, t := range a.ticks() {
		x := stripTick{X: round(100 * a.at(t.at)), Text: t.text, Anchor: "middle"}
		switch {
		case t.at == 0:
			x.Anchor = "start"
		case x.X > 94:
			x.Anchor = "end"
			x.Text += " s"
		}
		out = append(out, x)
	}
	return out
}
