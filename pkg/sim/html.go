package sim

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/holdfast-dht/holdfast/internal/pagestyle"
)

var (
	//go:embed report.html
	pageText string
	//go:embed plot.css
	plotStyle string
	//go:embed report.css
	ownStyle string
	style    = pagestyle.With(plotStyle + ownStyle)

	pageOf = template.Must(template.New("report").Parse(pageText))
)

// view is what a page shows: of a run, or of a sweep.
type view struct {
	Title, Lead string
	Tiles       []fact
	Facts       []fact
	Settings    []OptionValue
	Violations  []string
	Plots       []figure
	Operations  []fact
	Phases      []phaseView
	Table       *table // of a sweep
	Guide       []fact

	Policy string
	Style  template.CSS
}

// figure is a plot below its title.
type figure struct {
	Title string
	SVG   template.HTML
}

// phaseView is a phase of a run.
type phaseView struct {
	Title  string
	Strips []strip
	Ticks  []stripTick
	Facts  []fact
	Ops    *table  // nil: none
	Pair   []table // of messages and of requests, those with rows
}

// table is a table with a caption. The first column names the row.
type table struct {
	Caption string
	Of      string // the phase, if there are several
	Texts   int    // columns at the left that are texts; the others are numbers
	Header  []string
	Rows    [][]string
}

// tableOf returns a table of the text report, whose first row is the header, for a page.
func tableOf(caption, of string, rows [][]string) table {
	t := table{Caption: caption, Of: of, Texts: 1, Header: slices.Clone(rows[0]), Rows: aligned(rows[1:])}
	for i, h := range t.Header {
		if !percentile.MatchString(h) {
			t.Header[i] = strings.ToUpper(h[:1]) + h[1:]
		}
	}
	return t
}

// percentile matches the headers that stay in lower case.
var percentile = regexp.MustCompile(`^p\d+ `)

func (v *view) write(out io.Writer) error {
	v.Policy, v.Style = pagestyle.Policy(style), template.CSS(style) // our own file, not input
	var b strings.Builder
	if err := pageOf.Execute(&b, v); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// HTML writes the report as one self-contained page.
func (r *Report) HTML(out io.Writer) error {
	v := r.head()
	v.Plots = figures(r.plots())
	if len(r.Phases) > 1 && len(r.Series) > 1 {
		v.Lead += " Dashed lines in the plots: a phase begins."
	}
	v.Operations = operations(r.Phases)
	axis := timeOfOps(r.Phases)
	for i := range r.Phases {
		v.Phases = append(v.Phases, r.Phases[i].view(&axis, len(r.Phases) > 1))
	}
	return v.write(out)
}

// head returns the head of a page: what was simulated.
func (r *Report) head() *view {
	v := &view{Title: r.Title, Settings: r.Settings, Violations: r.Violations, Guide: guide}
	get := func(name string) string {
		for _, s := range r.Settings {
			if s.Name == name {
				return s.Value
			}
		}
		return "?"
	}
	v.Lead = fmt.Sprintf("Simulated network of %s nodes: round-trip times %s, churn %s, start %s.", get("nodes"), get("latency"), get("churn"), get("start"))
	v.Tiles = []fact{
		{"Nodes", get("nodes")}, {"Hours", get("hours")}, {"Seed", get("seed")},
		{"Events", humanize.Comma(int64(r.Events))}, {"Requests", humanize.Comma(r.Requests)},
	}
	options := r.Options
	if options == "" {
		options = "none: all have their defaults"
	}
	v.Facts = []fact{{"Scenario", r.Scenario}, {"Options", options}, {"Fingerprint", r.Fingerprint}}
	return v
}

func (x *Phase) view(a *axis, named bool) phaseView {
	v := phaseView{Title: x.heading(named), Facts: x.facts(), Ticks: stripTicks(a)}
	v.Strips = strips(x.Ops, a)
	of := ""
	if named {
		of = v.Title
	}
	if len(x.Ops) > 0 {
		t := tableOf("Operations", of, withoutTimes(opRows(x.Ops)))
		v.Ops = &t
	}
	for _, t := range []table{tableOf("Messages by type", of, trafficRows(x)), tableOf("Requests by purpose", of, roleRows(x))} {
		if len(t.Rows) > 0 {
			v.Pair = append(v.Pair, t)
		}
	}
	return v
}

// withoutTimes leaves out the columns that the table of times has too.
func withoutTimes(rows [][]string) [][]string {
	out := make([][]string, len(rows))
	for i, row := range rows {
		for col, cell := range row {
			if !percentile.MatchString(rows[0][col]) {
				out[i] = append(out[i], cell)
			}
		}
	}
	return out
}

// heading says when a phase was, after its name if there are several.
func (x *Phase) heading(named bool) string {
	name := "Whole run: "
	if named {
		name = x.Name + ": "
	}
	clock := func(h float64) string {
		if x.From+x.Hours <= timeUnits[0].upTo {
			return number(round(h*60)) + " min"
		}
		return number(round(h)) + " h"
	}
	return fmt.Sprintf("%s%s to %s, %s at its end", name, clock(x.From), clock(x.From+x.Hours), counted(x.Servers, "server"))
}

func figures(plots []*plot) []figure {
	var out []figure
	for _, p := range plots {
		out = append(out, figure{p.title, template.HTML(p.svg(inPage))}) // svg escapes names
	}
	return out
}

// operations explains the operations that occur in a run.
func operations(phases []Phase) []fact {
	var out []fact
	for kind, name := range opNames {
		if slices.ContainsFunc(phases, func(x Phase) bool {
			return slices.ContainsFunc(x.Ops, func(o Op) bool { return o.Kind == name })
		}) {
			out = append(out, fact{name, opWords[kind]})
		}
	}
	return out
}

// guide explains the measures.
var guide = []fact{
	{"success", "lookup: found the nearest peer of all; provide, put: a peer stored the record; find, get: found the record"},
	{"messages", "requests of an operation, mean"},
	{"hops", "answers that led to the farthest of the closest peers, mean"},
	{"first hop", "answers until one of the true closest peers was named, mean"},
	{"rounds", "longest chain of answers, mean"},
	{"recall", "share of the true closest servers that were returned, or that stored the record"},
	{"overlap", "share of the closest servers that hold the record when it is searched"},
	{"stale", "share of the verified table entries whose peer has left"},
	{"complete", "share of the live peers that tables have capacity for that they hold"},
	{"Gini", "0: all servers answer equally many requests; 1: one server answers all"},
}

// plots returns the curves of the run.
func (r *Report) plots() []*plot {
	if len(r.Series) < 2 {
		return nil
	}
	var end float64
	var begins []float64
	for i := range r.Phases {
		if p := &r.Phases[i]; p.From > 0 {
			begins = append(begins, p.From)
		}
		end = math.Max(end, r.Phases[i].From+r.Phases[i].Hours)
	}
	curve := func(title string, value func(*Point) float64) *plot {
		l := line{}
		for i := range r.Series {
			y := value(&r.Series[i])
			if y < 0 {
				y = math.NaN() // nothing was measured
			}
			l.xs, l.ys = append(l.xs, r.Series[i].Hours), append(l.ys, y)
		}
		return &plot{title: title, end: end, marks: begins, lines: []line{l}}
	}
	return []*plot{
		curve("Success of lookups and finds, %", func(p *Point) float64 { return 100 * p.Success }),
		curve("Live holders of a content", func(p *Point) float64 { return p.Holders }),
		curve("Stale entries of routing tables, %", func(p *Point) float64 { return 100 * p.Stale }),
		curve("Requests per server and minute", func(p *Point) float64 { return p.Messages }),
		curve("Contents lost before they expired", func(p *Point) float64 {
			if p.Holders < 0 {
				return -1
			}
			return float64(p.Lost)
		}),
		curve("Live servers", func(p *Point) float64 { return float64(p.Servers) }),
	}
}

// HTML writes the sweep as one page with a plot of each measure.
func (s *Sweep) HTML(out io.Writer) error {
	v := s.Runs[0].head()
	v.Title += ": " + s.Option
	v.Lead = fmt.Sprintf("%s with %s: %s. ", english.Plural(len(s.Runs), "run", ""), s.Option, strings.Join(s.Values, ", ")) + v.Lead
	v.Tiles, v.Violations = nil, nil
	v.Facts = []fact{{"Scenario", s.Runs[0].Scenario}, {"Options of the first run", s.Runs[0].Options}}
	for i := range s.Runs {
		for _, x := range s.Runs[i].Violations {
			v.Violations = append(v.Violations, s.Option+"="+s.Values[i]+": "+x)
		}
	}
	v.Plots = figures(s.plots())
	t := tableOf("All runs", "", s.table())
	t.Texts = sweepTexts
	v.Table = &t
	return v.write(out)
}

// SVG writes the sweep's plots side by side, for documents.
func (s *Sweep) SVG(out io.Writer) error {
	plots := s.plots()
	const columns = 2
	rows := (len(plots) + columns - 1) / columns
	var b strings.Builder
	width, height := columns*alone.width, float64(rows)*alone.height
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %[1]g %[2]g"><style>%s%s</style><rect class="paper" width="100%%" height="100%%"/>`,
		width, height, pagestyle.Palette, plotStyle)
	for i, p := range plots {
		fmt.Fprintf(&b, `<svg x="%g" y="%g" width="%g" height="%g">%s</svg>`, float64(i%columns)*alone.width, float64(i/columns)*alone.height, alone.width, alone.height, p.svg(alone))
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
		byOp("Time of operations, p50, s", func(o *Op) float64 { return o.Took.P50 }),
		byOp("Requests of an operation", func(o *Op) float64 { return o.Messages.Mean }),
		byOp("Missed of the closest, or of the holders, %", func(o *Op) float64 {
			if o.Kind == opNames[opFind] || o.Kind == opNames[opGet] {
				return 100 * (1 - o.Overlap)
			}
			return 100 * (1 - o.Recall)
		}),
		byOp("Failures, %", func(o *Op) float64 { return 100 * (1 - o.Success) }),
		whole("Requests per server and minute", []string{"all"}, func(p *Phase) []float64 { return []float64{p.Load.Mean} }),
		whole("Routing tables, %", []string{"stale", "missing"}, func(p *Phase) []float64 {
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
