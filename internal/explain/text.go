package explain

import (
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
)

// barWidth is the width of the timeline in a terminal, in characters.
const barWidth = 24

// Text writes a trace for a terminal: a summary, then a line for each request with its
// place in time. key is the trace's key as users write it. width is the width of the
// terminal, 0 without one. alarm colours failures.
func Text(w io.Writer, t *api.Trace, key string, width int, alarm func(string) string) error {
	var text strings.Builder
	line := func(format string, args ...any) {
		text.WriteString(columns.Paragraph(fmt.Sprintf(format, args...), width) + "\n")
	}
	line("%s %s: %s after %s", columns.Printable(t.Kind), columns.Printable(key), outcome(t), span(t.TookMs))
	then := ""
	if t.StoreSent > 0 {
		then = ", after " + span(t.LookupMs) + "; then it stored"
	}
	line("%s%s. %s.", why(t), then, summary(t))
	if len(t.Steps) > 0 {
		line("")
		if err := writeSteps(&text, t, width, alarm); err != nil {
			return err
		}
		line("%s", legend)
	}
	if t.Omitted > 0 {
		line("%s not kept.", english.Plural(t.Omitted, "more request was", "more requests were"))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// writeSteps writes the requests of a trace as a table.
func writeSteps(w io.Writer, t *api.Trace, width int, alarm func(string) string) error {
	end := total(t)
	ruler := "0" + strings.Repeat(" ", max(1, barWidth-1-len(span(end)))) + span(end)
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
	return []string{hop, fmt.Sprint(s.CPL), span(s.SentMs), span(s.EndedMs - s.SentMs), bar(s, end), rank, columns.Printable(s.PeerID), answer(s)}
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

const legend = "CPL: leading bits shared with the key. RANK: among the closest in the end. " +
	"█ answered  ▒ late  × failed  · not waited for"
