package sim

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// HTML writes the report as one self-contained page.
func (r *Report) HTML(out io.Writer) error {
	var b strings.Builder
	var text strings.Builder
	if err := r.Print(&text); err != nil {
		return err
	}
	head(&b, r.Title)
	for _, p := range r.plots() {
		b.WriteString(p.svg())
	}
	foot(&b, text.String())
	_, err := io.WriteString(out, b.String())
	return err
}

func head(b *strings.Builder, title string) {
	fmt.Fprintf(b, `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>%s</title>
<style>body{font:14px sans-serif;margin:2em;max-width:1320px}pre{overflow-x:auto;background:#f6f6f6;padding:1em}svg{margin:0 1em 1em 0}</style>
</head><body><h1>%[1]s</h1>
`, html.EscapeString(title))
}

func foot(b *strings.Builder, text string) {
	fmt.Fprintf(b, "<pre>%s</pre></body></html>\n", html.EscapeString(text))
}

// plots returns the curves of the run and the latencies of its last phase.
func (r *Report) plots() []*plot {
	curve := func(title string, value func(*Point) float64) *plot {
		l := line{}
		for i := range r.Series {
			y := value(&r.Series[i])
			if y < 0 {
				y = math.NaN() // nothing was measured
			}
			l.xs, l.ys = append(l.xs, r.Series[i].Hours), append(l.ys, y)
		}
		return &plot{title: title, x: "hours", lines: []line{l}}
	}
	var out []*plot
	if len(r.Series) > 1 {
		out = append(out,
			curve("Success of lookups and finds", func(p *Point) float64 { return p.Success }),
			curve("Live holders of a content", func(p *Point) float64 { return p.Holders }),
			curve("Stale entries of routing tables", func(p *Point) float64 { return p.Stale }),
			curve("Requests of a server and minute", func(p *Point) float64 { return p.Messages }),
			curve("Live servers", func(p *Point) float64 { return float64(p.Servers) }),
		)
	}
	return append(out, r.latencies())
}

// latencies plots the latency quantiles of each operation, for the last phase that has
// any.
func (r *Report) latencies() *plot {
	p := &plot{title: "Time of operations in seconds", x: "quantile", labels: []string{"p50", "p95", "p99", "max"}}
	for i := range r.Phases {
		for j := range r.Phases[i].Ops {
			o := &r.Phases[i].Ops[j]
			name := o.Kind
			if len(r.Phases) > 1 {
				name += " " + r.Phases[i].Name
			}
			p.lines = append(p.lines, line{name: name, xs: []float64{0, 1, 2, 3}, ys: []float64{o.Took.P50, o.Took.P95, o.Took.P99, o.Took.Max}})
		}
	}
	return p
}

// HTML writes the sweep as one page with a plot of each measure.
func (s *Sweep) HTML(out io.Writer) error {
	var b, text strings.Builder
	if err := s.Print(&text); err != nil {
		return err
	}
	head(&b, s.Runs[0].Title+": "+s.Option)
	for _, p := range s.plots() {
		b.WriteString(p.svg())
	}
	foot(&b, text.String())
	_, err := io.WriteString(out, b.String())
	return err
}

// SVG writes the sweep's plots side by side, for documents.
func (s *Sweep) SVG(out io.Writer) error {
	plots := s.plots()
	const columns = 2
	rows := (len(plots) + columns - 1) / columns
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">`, columns*plotWidth, rows*plotHeight)
	for i, p := range plots {
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)">%s</g>`, i%columns*plotWidth, i/columns*plotHeight, p.svg())
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// plots shows each measure over the values of the option, one line for each kind of
// operation. It shows only the last phase.
func (s *Sweep) plots() []*plot {
	byOp := func(title string, value func(*Op) float64) *plot {
		p := &plot{title: title, x: s.Option, labels: s.Values}
		for i := range s.Runs {
			for _, o := range last(s.Runs[i].Phases).Ops {
				p.point(o.Kind, i, value(&o))
			}
		}
		return p
	}
	whole := func(title string, names []string, values func(*Phase) []float64) *plot {
		p := &plot{title: title, x: s.Option, labels: s.Values}
		for i := range s.Runs {
			for j, y := range values(last(s.Runs[i].Phases)) {
				p.point(names[j], i, y)
			}
		}
		return p
	}
	return []*plot{
		byOp("Time of operations, p50, in seconds", func(o *Op) float64 { return o.Took.P50 }),
		byOp("Requests of an operation", func(o *Op) float64 { return o.Messages.Mean }),
		byOp("Missed of the true closest, or of the record's holders, in percent", func(o *Op) float64 {
			if o.Kind == opNames[opFind] || o.Kind == opNames[opGet] {
				return 100 * (1 - o.Overlap)
			}
			return 100 * (1 - o.Recall)
		}),
		byOp("Failures, in percent", func(o *Op) float64 { return 100 * (1 - o.Success) }),
		whole("Requests of a server and minute", []string{"all"}, func(p *Phase) []float64 { return []float64{p.Load.Mean} }),
		whole("Routing tables, in percent", []string{"stale", "missing"}, func(p *Phase) []float64 {
			return []float64{100 * p.Tables.Stale, 100 * (1 - p.Tables.Complete)}
		}),
	}
}

func last(ps []Phase) *Phase {
	if len(ps) == 0 {
		return &Phase{}
	}
	return &ps[len(ps)-1]
}

// point adds a point to the line of that name.
func (p *plot) point(name string, x int, y float64) {
	for i := range p.lines {
		if p.lines[i].name == name {
			p.lines[i].xs, p.lines[i].ys = append(p.lines[i].xs, float64(x)), append(p.lines[i].ys, y)
			return
		}
	}
	p.lines = append(p.lines, line{name: name, xs: []float64{float64(x)}, ys: []float64{y}})
}
