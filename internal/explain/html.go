package explain

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/internal/pagestyle"
	"github.com/holdfast-dht/holdfast/pkg/kad"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	ownStyle string
	style    = pagestyle.With(ownStyle)

	page = template.Must(template.New("page").Parse(pageText))
)

// ServedPolicy is the Content-Security-Policy of the page when it is served over HTTP.
var ServedPolicy = pagestyle.ServedPolicy(style)

// HTML writes a trace as one self-contained page: what was found, a plot of how the lookup
// came nearer to the key, and a timeline with a row for each request. key is the trace's
// key as users write it.
func HTML(w io.Writer, t *api.Trace, key string) error {
	p := layout{trace: t, end: total(t)}
	err := page.Execute(w, map[string]any{
		"Trace": t, "Action": Action(t.Kind), "Key": columns.Printable(key), "Outcome": Outcome(t), "Bad": t.Outcome == "failed",
		"Took": Span(t.TookMs), "Lookup": Span(t.LookupMs), "Why": why(t), "Started": t.Started.UTC().Format(time.DateTime + " UTC"),
		"Tiles": tiles(t), "Found": foundBy(t), "Guide": pageGuide(t),
		"Rows": p.rows(), "Plot": p.plot(), "Ticks": p.ticks(),
		"Peers": p.peers(), "LookupAt": percent(t.LookupMs, p.end), "Stores": t.StoreSent > 0,
		"Policy": pagestyle.Policy(style), "Style": template.CSS(style), // our own file, not input
	})
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// named is a value with its name.
type named struct{ Name, Value string }

// tiles are the numbers of a query.
func tiles(t *api.Trace) []named {
	n := []named{
		{"Took", Span(t.TookMs)}, {"Known before", fmt.Sprint(t.Seeds)}, {"Asked", fmt.Sprint(t.Asked)},
		{"Answered", fmt.Sprint(t.Responded)}, {"Failed", fmt.Sprint(t.Failed)}, {"Hops", fmt.Sprint(t.Hops)},
	}
	if t.StoreSent > 0 {
		n = append(n, named{"Stored at", fmt.Sprintf("%d of %d", t.StoredAt, t.StoreSent)})
	}
	return n
}

// pageGuide explains the columns of the page, which has more than the text.
func pageGuide(t *api.Trace) []named {
	g := guide(t)
	return slices.Insert(g, len(g)-1,
		named{"Sent, Took", "when the request was sent, and how long it took, with the dial if there was no connection"},
		named{"RTT", "time from the request to its answer, without the dial"},
	)
}

// layout computes positions. x runs from 0 to 100 over the time of the trace.
type layout struct {
	trace *api.Trace
	end   float64
}

func percent(ms, end float64) float64 { return math.Round(10000*ms/end) / 100 }

// row is one request in the timeline.
type row struct {
	Hop, CPL, Peer, Short, Addr, Sent, Took, RTT, Answer, Class string

	Rank                int // 0: not among the closest
	From, Width         float64
	SlowFrom, SlowWidth float64 // Width 0: was not slow
}

// minWidth keeps a quick request visible, in percent.
const minWidth = 0.6

func (p *layout) rows() []row {
	rows := make([]row, len(p.trace.Steps))
	for i := range p.trace.Steps {
		s := &p.trace.Steps[i]
		r := row{
			Hop: fmt.Sprint(s.Hop), Peer: columns.Printable(s.PeerID), Short: short(columns.Printable(s.PeerID)), Addr: columns.Printable(s.Addr),
			Sent: Span(s.SentMs), Took: Span(s.EndedMs - s.SentMs), Answer: answer(s), Class: class(s),
			CPL: cpl(s.CPL), Rank: s.Rank, From: percent(s.SentMs, p.end),
		}
		if s.RTTMs > 0 {
			r.RTT = Span(s.RTTMs)
		}
		if s.Role == "store" {
			r.Hop = "put"
		}
		r.Width = max(percent(s.EndedMs-s.SentMs, p.end), minWidth)
		r.From = min(r.From, 100-r.Width)
		if s.SlowMs > 0 {
			r.SlowFrom = percent(s.SlowMs, p.end)
			r.SlowWidth = max(r.From+r.Width-r.SlowFrom, minWidth)
		}
		rows[i] = r
	}
	return rows
}

// peer is a peer that the lookup asked or found.
type peer struct {
	ID    string
	Addrs []string
	Rank  int // 0: not among the closest
	CPL   string
}

// peers returns each peer that was asked, once.
func (p *layout) peers() []peer {
	var out []peer
	seen := map[string]bool{}
	for i := range p.trace.Steps {
		s := &p.trace.Steps[i]
		if seen[s.PeerID] {
			continue
		}
		seen[s.PeerID] = true
		x := peer{ID: columns.Printable(s.PeerID), Rank: s.Rank, CPL: cpl(s.CPL)}
		if s.Addr != "" {
			x.Addrs = []string{columns.Printable(s.Addr)}
		}
		out = append(out, x)
	}
	return out
}

// class is the CSS class of a request.
func class(s *api.TraceStep) string {
	switch {
	case s.State == "failed", s.State == "cancelled":
		return s.State
	case s.Role == "store":
		return "stored"
	}
	return "answered"
}

// short returns the end of a peer ID, because all begin the same.
func short(id string) string {
	const n = 8
	if len(id) <= n {
		return id
	}
	return "…" + id[len(id)-n:]
}

// tick is a mark on the time axis.
type tick struct {
	X            float64
	Text, Anchor string
}

func (p *layout) ticks() []tick {
	step := pagestyle.NiceStep(max(p.end/4, 0.01)) // Span rounds to 0.01 ms
	var out []tick
	for i := 0; float64(i)*step <= p.end*1.0001; i++ {
		x := percent(float64(i)*step, p.end)
		t := tick{x, Span(float64(i) * step), "middle"}
		if i == 0 {
			t.Text, t.Anchor = "0", "start"
		} else if x > 92 {
			t.Anchor = "end"
		}
		out = append(out, t)
	}
	return out
}

// plot shows how near to the key the asked peers are, over time.
type plot struct {
	Marks          []mark
	Levels         []level
	Bottom, Height float64 // units are pixels, x is percent
	Summary        string
}

type mark struct {
	X1, X2, Y    float64
	Class, Title string
}

type level struct {
	Y    float64
	Text string
}

// Sizes of the plot in pixels.
const (
	plotTop   = 14
	plotInner = 190
	plotAxis  = 20 // for the times below

	maxLevels = 10 // labelled prefix lengths
)

// scale maps common prefix lengths to places. A peer that is the key itself has a place
// one step above the others.
type scale struct {
	low, high int // without the peer itself
	top       int // high, or the place of the peer itself
	unit      float64
}

func (p *layout) scale() scale {
	s := scale{low: kad.KeyBits}
	itself := false
	for i := range p.trace.Steps {
		switch bits := p.trace.Steps[i].CPL; {
		case bits >= kad.KeyBits:
			itself = true
		default:
			s.low, s.high = min(s.low, bits), max(s.high, bits)
		}
	}
	s.low = min(s.low, s.high)
	s.high = max(s.high, s.low+4)
	s.top = s.high
	if itself {
		s.top++
	}
	s.unit = plotInner / float64(s.top-s.low+1) // with space below the lowest for shifted marks
	return s
}

func (s *scale) y(bits int) float64 { return tenth(plotTop + s.unit*float64(s.top-min(bits, s.top))) }

func tenth(x float64) float64 { return math.Round(10*x) / 10 }

// step is the step between the labelled prefix lengths.
func (s *scale) step() int {
	step := 1
	for _, step = range []int{1, 2, 5, 10, 20, 50} {
		if (s.high-s.low)/step < maxLevels {
			break
		}
	}
	return step
}

func (s *scale) levels() []level {
	var out []level
	step := s.step()
	for bits := (s.low + step - 1) / step * step; bits <= s.high; bits += step {
		out = append(out, level{s.y(bits), cpl(bits)})
	}
	if s.top > s.high {
		out = append(out, level{s.y(kad.KeyBits), cpl(kad.KeyBits)})
	}
	return out
}

func (p *layout) plot() plot {
	out := plot{Bottom: plotTop + plotInner, Height: plotTop + plotInner + plotAxis}
	if len(p.trace.Steps) == 0 {
		return out
	}
	s := p.scale()
	out.Levels = s.levels()
	seen := map[int]int{}
	for i := range p.trace.Steps {
		step := &p.trace.Steps[i]
		if step.Role == "store" {
			continue
		}
		// Marks of the same CPL are shifted a little, so that they do not overlap.
		shift := 0.14 * s.unit * float64(seen[step.CPL]%6)
		seen[step.CPL]++
		out.Marks = append(out.Marks, mark{
			X1: percent(step.SentMs, p.end), X2: percent(step.EndedMs, p.end), Y: tenth(s.y(step.CPL) + shift),
			Class: class(step), Title: short(columns.Printable(step.PeerID)) + ": " + answer(step),
		})
	}
	out.Summary = fmt.Sprintf("Plot of %s over time: %s.", count(len(out.Marks), "request"), p.nearer())
	return out
}

// nearer says in words how the lookup came nearer to the key.
func (p *layout) nearer() string {
	steps := slices.Clone(p.trace.Steps)
	slices.SortStableFunc(steps, func(a, b api.TraceStep) int { return cmp.Compare(a.EndedMs, b.EndedMs) })
	var parts []string
	best := -1
	for i := range steps {
		if s := &steps[i]; s.State == "answered" && s.Role != "store" && s.CPL > best {
			best = s.CPL
			parts = append(parts, fmt.Sprintf("CPL %s after %s", cpl(best), Span(s.EndedMs)))
		}
	}
	if len(parts) == 0 {
		return "no peer answered"
	}
	return "the nearest peer that had answered: " + strings.Join(parts, ", ")
}
