package sim

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// plot is a line chart, written as SVG.
type plot struct {
	title string
	lines []line

	// Over the values of an option:
	x      string   // the option
	labels []string // its values, at 0, 1, 2 and so on
	// Over time, in hours, if there are no labels:
	end   float64   // of the axis; 0: the last point
	marks []float64 // where a phase begins
}

// line is one curve. Missing points are NaN.
type line struct {
	name   string
	xs, ys []float64
}

// paper is the size of a plot in pixels. Text has 13 pixels, so a page shows a plot at
// about the width it is drawn in.
type paper struct {
	width, height float64
	titled        bool // the title is inside; a page has it above
}

var (
	inPage = paper{width: 350, height: 210}
	alone  = paper{width: 640, height: 280, titled: true}
)

// Margins of a plot in pixels.
const (
	plotLeft, plotRight, plotTop = 44, 14, 12
	titleHeight                  = 22
	axisHeight                   = 38 // the numbers and the name of the axis
	nameHeight                   = 17 // a row of names of lines
	nameWidth                    = 96
)

// sheet is a plot with the ranges of its axes and its place on the paper.
type sheet struct {
	*plot
	paper
	xs, ys      axis
	top, bottom float64
	b           strings.Builder
}

// svg draws the plot.
func (p *plot) svg(on paper) string {
	d := sheet{plot: p, paper: on, top: plotTop}
	d.xs, d.ys = p.axes()
	if on.titled {
		d.top += titleHeight
	}
	d.bottom = on.height - axisHeight - nameHeight*float64(d.nameRows())
	d.write(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-label="%s">`, on.width, on.height, html.EscapeString(p.summary()))
	if on.titled {
		d.write(`<text class="title" x="%d" y="20">%s</text>`, plotLeft, html.EscapeString(p.title))
	}
	d.grid()
	for i := range p.lines {
		d.line(i)
	}
	d.names()
	d.write("</svg>\n")
	return d.b.String()
}

func (d *sheet) write(format string, args ...any) { fmt.Fprintf(&d.b, format, args...) }

func (d *sheet) px(x float64) float64 {
	return plotLeft + float64(d.xs.at(x)*(d.width-plotLeft-plotRight))
}

func (d *sheet) py(y float64) float64 { return d.bottom - float64(d.ys.at(y)*(d.bottom-d.top)) }

// grid draws the axes.
func (d *sheet) grid() {
	right := d.width - plotRight
	for _, t := range d.ys.ticks() {
		y := d.py(t.at)
		d.write(`<line class="grid" x1="%d" x2="%g" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			plotLeft, right, y, y, plotLeft-6, y+4, t.text)
	}
	for _, hour := range d.marks {
		x := d.px(hour)
		d.write(`<line class="phase" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/>`, x, x, d.top, d.bottom)
	}
	for _, t := range d.xTicks() {
		x := d.px(t.at)
		anchor := "middle"
		if x > right-16 {
			x, anchor = right+plotRight-2, "end"
		}
		d.write(`<text x="%.1f" y="%g" text-anchor="%s">%s</text>`, x, d.bottom+16, anchor, html.EscapeString(t.text))
	}
	d.write(`<text class="axis" x="%g" y="%g" text-anchor="end">%s</text>`, right+plotRight-2, d.bottom+32, html.EscapeString(d.xName()))
}

func (p *plot) xName() string {
	if p.labels == nil {
		return p.timeAxis().unit
	}
	return p.x
}

func (d *sheet) xTicks() []axisTick {
	if d.labels == nil {
		return d.xs.ticks()
	}
	var out []axisTick
	for i, l := range d.labels {
		out = append(out, axisTick{float64(i), l})
	}
	return out
}

// line draws line i, broken where points are missing.
func (d *sheet) line(i int) {
	l := &d.lines[i]
	path, pen := "", "M"
	for j := range l.xs {
		if math.IsNaN(l.ys[j]) {
			pen = "M"
			continue
		}
		path += fmt.Sprintf("%s%.1f %.1f", pen, d.px(l.xs[j]), d.py(l.ys[j]))
		pen = "L"
	}
	d.write(`<path class="curve %s" d="%s"/>`, colour(i), path)
	if len(l.xs) > maxDots {
		return
	}
	for j := range l.xs {
		if !math.IsNaN(l.ys[j]) {
			d.write(`<circle class="%s" cx="%.1f" cy="%.1f" r="3"/>`, colour(i), d.px(l.xs[j]), d.py(l.ys[j]))
		}
	}
}

// maxDots is the most points a line may have for each to get a dot.
const maxDots = 24

// colours are the classes of lines, in order.
const colours = 6

func colour(i int) string { return fmt.Sprintf("c%d", i%colours) }

// nameColumns is how many names of lines fit side by side.
func (d *sheet) nameColumns() int { return int((d.width - plotLeft) / nameWidth) }

func (d *sheet) nameRows() int {
	n := 0
	for i := range d.lines {
		if d.lines[i].name != "" {
			n++
		}
	}
	return (n + d.nameColumns() - 1) / d.nameColumns()
}

// names writes the names of the lines below the plot.
func (d *sheet) names() {
	n := 0
	for i := range d.lines {
		if d.lines[i].name == "" {
			continue
		}
		x, y := plotLeft+float64(n%d.nameColumns()*nameWidth), d.bottom+axisHeight+float64(n/d.nameColumns()*nameHeight)
		d.write(`<line class="curve %s" x1="%g" x2="%g" y1="%g" y2="%g"/><text x="%g" y="%g">%s</text>`,
			colour(i), x, x+14, y+8, y+8, x+19, y+12, html.EscapeString(d.lines[i].name))
		n++
	}
}

// summary says in words what a plot shows.
func (p *plot) summary() string {
	parts := []string{}
	for _, l := range p.lines {
		first, final, low, high := math.NaN(), math.NaN(), math.Inf(1), math.Inf(-1)
		for _, y := range l.ys {
			if math.IsNaN(y) {
				continue
			}
			if math.IsNaN(first) {
				first = y
			}
			final, low, high = y, math.Min(low, y), math.Max(high, y)
		}
		if !math.IsNaN(first) {
			parts = append(parts, strings.TrimPrefix(fmt.Sprintf("%s from %s to %s, lowest %s, highest %s",
				l.name, number(round(first)), number(round(final)), number(round(low)), number(round(high))), " "))
		}
	}
	if len(parts) == 0 {
		parts = []string{"no data"}
	}
	return fmt.Sprintf("%s, over %s: %s", p.title, p.xName(), strings.Join(parts, "; "))
}
