package sim

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// plot is a line chart, written as self-contained SVG.
type plot struct {
	title  string
	x      string   // what the axis shows
	labels []string // of the places on the axis, when they are not numbers
	lines  []line
}

// line is one curve. Missing points are NaN.
type line struct {
	name   string
	xs, ys []float64
}

// Size of a plot and its margins, in pixels.
const (
	plotWidth, plotHeight                    = 640, 280
	plotLeft, plotRight, plotTop, plotBottom = 64, 16, 34, 44
)

// plotColors are distinguishable with most kinds of colour blindness (Okabe and Ito).
var plotColors = [...]string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}

// svg draws the plot.
func (p *plot) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">`, plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="%d" y="18" font-weight="bold">%s</text>`, plotLeft, html.EscapeString(p.title))
	xs, ys := p.ranges()
	p.axes(&b, xs, ys)
	for i := range p.lines {
		p.draw(&b, i, xs, ys)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// extent is the range of an axis.
type extent struct{ low, high float64 }

func (e *extent) take(x float64) {
	if !math.IsNaN(x) {
		e.low, e.high = math.Min(e.low, x), math.Max(e.high, x)
	}
}

// at is the share of the axis at which x lies.
func (e *extent) at(x float64) float64 {
	if e.high <= e.low {
		return 0.5
	}
	return (x - e.low) / (e.high - e.low)
}

// ranges returns the ranges of the axes. The vertical one starts at 0 and ends a little
// above the highest point. Every label has a place, even one without a point.
func (p *plot) ranges() (xs, ys extent) {
	xs = extent{math.Inf(1), math.Inf(-1)}
	for i := range p.labels {
		xs.take(float64(i))
	}
	for _, l := range p.lines {
		for i := range l.xs {
			xs.take(l.xs[i])
			ys.take(l.ys[i])
		}
	}
	ys.high = ceiling(ys.high)
	return xs, ys
}

// ceiling returns the next number of the form 1, 2, 2.5 or 5 times a power of ten.
func ceiling(x float64) float64 {
	if x <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10} {
		if x <= m*power*1.0001 {
			return m * power
		}
	}
	return 10 * power
}

func px(xs *extent, x float64) float64 {
	return plotLeft + xs.at(x)*(plotWidth-plotLeft-plotRight)
}

func py(ys *extent, y float64) float64 {
	return plotHeight - plotBottom - ys.at(y)*(plotHeight-plotTop-plotBottom)
}

func (p *plot) axes(b *strings.Builder, xs, ys extent) {
	const ticks = 4
	for i := range ticks + 1 {
		y := ys.high * float64(i) / ticks
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			plotLeft, plotWidth-plotRight, py(&ys, y), py(&ys, y), plotLeft-6, py(&ys, y)+4, number(round(y)))
	}
	base := plotHeight - plotBottom + 16
	if p.labels != nil {
		for i, l := range p.labels {
			fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, px(&xs, float64(i)), base, html.EscapeString(l))
		}
	} else {
		for i := range ticks + 1 {
			x := xs.low + (xs.high-xs.low)*float64(i)/ticks
			fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, px(&xs, x), base, number(round(x)))
		}
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, plotWidth-plotRight, plotHeight-8, html.EscapeString(p.x))
}

// draw draws line i, broken where points are missing, with its name on top.
func (p *plot) draw(b *strings.Builder, i int, xs, ys extent) {
	l, color := &p.lines[i], plotColors[i%len(plotColors)]
	path, pen := "", "M"
	for j := range l.xs {
		if math.IsNaN(l.ys[j]) {
			pen = "M"
			continue
		}
		path += fmt.Sprintf("%s%.1f %.1f", pen, px(&xs, l.xs[j]), py(&ys, l.ys[j]))
		pen = "L"
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.8"/>`, path, color)
	if len(l.xs) <= maxDots {
		for j := range l.xs {
			if !math.IsNaN(l.ys[j]) {
				fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, px(&xs, l.xs[j]), py(&ys, l.ys[j]), color)
			}
		}
	}
	if l.name != "" {
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">%s</text>`, plotLeft+8+i*min(nameWidth, namesWidth/len(p.lines)), plotHeight-8, color, html.EscapeString(l.name))
	}
}

// nameWidth is the width of a line's name, namesWidth that of all names.
const nameWidth, namesWidth = 140, 480

// maxDots is the most points a line may have for each to get a dot.
const maxDots = 24
