package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// barWidth is the width of the timeline in a terminal, in characters.
const barWidth = 24

// Text writes a trace for a terminal: a summary, what was found, and a line for each
// request with its place in time. key is the trace's key as users write it. width is the width of the
// terminal, 0 without one. alarm colours failures.
func Text(w io.Writer, t *api.Trace, key string, width int, alarm func(string) string) error {
	var text strings.Builder
	line := func(format string, args ...any) {
		text.WriteString(columns.Paragraph(fmt.Sprintf(format, args...), width) + "\n")
	}
	line("%s %s: %s after %s", Action(t.Kind), columns.Printable(key), Outcome(t), Span(t.TookMs))
	then := ""
	if t.StoreSent > 0 {
		then = ", after " + Span(t.LookupMs) + "; then it stored"
	}
	line("%s%s. %s.", why(t), then, summary(t))
	for _, l := range foundLines(t) {
		line("%s", l)
	}
	if len(t.Steps) > 0 {
		line("")
		if err := writeSteps(&text, t, width, alarm); err != nil {
			return err
		}
		for _, g := range guide(t) {
			line("%s: %s.", strings.ToUpper(g.Name), g.Value)
		}
		line("%s", marks)
	}
	if t.Omitted > 0 {
		line("%s not kept.", english.Plural(t.Omitted, "more request was", "more requests were"))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// foundLines returns the lines that show what a query found.
func foundLines(t *api.Trace) []string {
	f := foundBy(t)
	if f.Title == "" {
		return nil
	}
	lines := []string{strings.TrimSuffix(f.Title+": "+f.Note, " ")}
	if f.Value != "" {
		for l := range strings.SplitSeq(f.Value, "\n") {
			lines = append(lines, "  "+columns.Printable(strings.ReplaceAll(l, "\t", "    ")))
		}
	}
	for _, p := range f.Peers {
		lines = append(lines, "  "+strings.Join(append([]string{p.ID}, p.Addrs...), " "))
	}
	return lines
}

// writeSteps writes the requests of a trace as a table.
func writeSteps(w io.Writer, t *api.Trace, width int, alarm func(string) string) error {
	end := total(t)
	ruler := "0" + strings.Repeat(" ", max(1, barWidth-1-len(Span(end)))) + Span(end)
	table := columns.Table{
		Header: []string{"HOP", "CPL", "SENT", "TOOK", ruler, "RANK", "PEER", "ANSWER"}, Width: width,
		Paint: func(row, _ int, piece string) string {
			if row >= 0 && t.Steps[row].State == "failed" {
				return alarm(piece)
			}
			return piece
		},
	}
	for i := range t.Steps {
		table.Rows = append(table.Rows, cells(&t.Steps[i], end))
	}
	return table.Write(w)
}

// cells returns the row of a request.
func cells(s *api.TraceStep, end float64) []string {
	hop, rank := fmt.Sprint(s.Hop), "-"
	if s.Role == "store" {
		hop = "put"
	}
	if s.Rank > 0 {
		rank = fmt.Sprint(s.Rank)
	}
	return []string{hop, cpl(s.CPL), Span(s.SentMs), Span(s.EndedMs - s.SentMs), bar(s, end), rank, columns.Printable(s.PeerID), answer(s)}
}

// Marks of the timeline, by the state of the request.
const (
	markAnswered  = '█'
	markSlow      = '▒'
	markFailed    = '×'
	markCancelled = '·'
)

// bar draws the time during which a request was in flight.
func bar(s *api.TraceStep, end float64) string {
	mark := markAnswered
	switch s.State {
	case "failed":
		mark = markFailed
	case "cancelled":
		mark = markCancelled
	}
	cells := []rune(strings.Repeat(" ", barWidth))
	first := min(cell(s.SentMs, end), barWidth-1)
	last := max(cell(s.EndedMs, end), first+1)
	for i := first; i < min(last, barWidth); i++ {
		cells[i] = mark
		if s.SlowMs > 0 && i >= cell(s.SlowMs, end) {
			cells[i] = markSlow
		}
	}
	return string(cells)
}

func cell(ms, end float64) int { return int(ms / end * barWidth) }

// guide explains the columns.
func guide(t *api.Trace) []named {
	near := "leading bits that the peer shares with the key: the more, the nearer"
	if slices.ContainsFunc(t.Steps, func(s api.TraceStep) bool { return s.CPL >= kad.KeyBits }) {
		near += "; itself: the peer that was looked up"
	}
	return []named{
		{"Hop", "answers that led to the peer; put: a request to store"},
		{"CPL", near},
		{"Rank", "place among the closest peers that answered; 1 is the closest"},
		{"Answer", "what came back: closer peers, and how many of them the lookup did not know yet"},
	}
}

const marks = "█ answered  ▒ late  × failed  · not waited for"
