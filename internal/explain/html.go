package explain

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// HTML writes a trace as one self-contained page: a plot of how the lookup came nearer to
// the key, and a timeline with a row for each request. key is the trace's key as users
// write it.
func HTML(w io.Writer, t *api.Trace, key string) error {
	p := layout{trace: t, end: total(t)}
	err := page.Execute(w, map[string]any{
		"Trace": t, "Key": columns.Printable(key), "Outcome": outcome(t), "Took": span(t.TookMs), "Lookup": span(t.LookupMs),
		"Why": why(t), "Summary": summary(t), "Started": t.Started.UTC().Format(time.RFC3339),
		"Rows": p.rows(), "Plot": p.plot(), "Ticks": p.ticks(),
		"Peers": p.peers(), "LookupAt": percent(t.LookupMs, p.end), "Stores": t.StoreSent > 0,
	})
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// layout computes positions. x runs from 0 to 100 over the time of the trace.
type layout struct {
	trace *api.Trace
	end   float64
}

func percent(ms, end float64) float64 { return math.Round(10000*ms/end) / 100 }

// row is one request in the timeline.
type row struct {
	Hop, Peer, Short, Addr, Sent, Took, RTT, Answer, Class string
	CPL, Rank                                              int
	From, Width                                            float64
	SlowFrom, SlowWidth                                    float64 // Width 0: was not slow
}

// minWidth keeps a quick request visible, in percent.
const minWidth = 0.6

func (p *layout) rows() []row {
	rows := make([]row, len(p.trace.Steps))
	for i := range p.trace.Steps {
		s := &p.trace.Steps[i]
		r := row{
			Hop: fmt.Sprint(s.Hop), Peer: columns.Printable(s.PeerID), Short: short(columns.Printable(s.PeerID)), Addr: columns.Printable(s.Addr),
			Sent: span(s.SentMs), Took: span(s.EndedMs - s.SentMs), Answer: answer(s), Class: class(s),
			CPL: s.CPL, Rank: s.Rank, From: percent(s.SentMs, p.end),
		}
		if s.RTTMs > 0 {
			r.RTT = span(s.RTTMs)
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

// peer is a peer that the lookup asked.
type peer struct{ ID, Addr string }

// peers returns each peer once.
func (p *layout) peers() []peer {
	var out []peer
	seen := map[string]bool{}
	for i := range p.trace.Steps {
		s := &p.trace.Steps[i]
		if !seen[s.PeerID] {
			seen[s.PeerID] = true
			out = append(out, peer{columns.Printable(s.PeerID), columns.Printable(s.Addr)})
		}
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
	X    float64
	Text string
}

func (p *layout) ticks() []tick {
	step := niceStep(p.end / 5)
	var out []tick
	for ms := 0.0; ms <= p.end*0.96; ms += step {
		out = append(out, tick{percent(ms, p.end), span(ms)})
	}
	return out
}

// niceStep rounds up to 1, 2 or 5 times a power of ten.
func niceStep(x float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if m*base >= x {
			return m * base
		}
	}
	return 10 * base
}

// plot shows how near to the key the asked peers are, over time.
type plot struct {
	Marks  []mark
	Levels []level
	Height float64 // units are pixels, x is percent
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
)

func (p *layout) plot() plot {
	out := plot{Height: plotTop + plotInner + 10}
	low, high := math.MaxInt, 0
	for i := range p.trace.Steps {
		low, high = min(low, p.trace.Steps[i].CPL), max(high, p.trace.Steps[i].CPL)
	}
	if len(p.trace.Steps) == 0 {
		return out
	}
	high = max(high, low+4)
	unit := plotInner / float64(high-low+1) // with space below the lowest for shifted marks
	y := func(cpl int) float64 { return math.Round(10*(plotTop+unit*float64(high-cpl))) / 10 }
	seen := map[int]int{}
	for i := range p.trace.Steps {
		s := &p.trace.Steps[i]
		if s.Role == "store" {
			continue
		}
		// Marks of the same CPL are shifted a little, so that they do not overlap.
		shift := 0.14 * unit * float64(seen[s.CPL]%6)
		seen[s.CPL]++
		out.Marks = append(out.Marks, mark{
			X1: percent(s.SentMs, p.end), X2: percent(s.EndedMs, p.end), Y: y(s.CPL) + math.Round(10*shift)/10,
			Class: class(s), Title: short(columns.Printable(s.PeerID)) + ": " + answer(s),
		})
	}
	for cpl := low; cpl <= high; cpl += max(1, (high-low+4)/5) {
		out.Levels = append(out.Levels, level{y(cpl), fmt.Sprint(cpl)})
	}
	return out
}
