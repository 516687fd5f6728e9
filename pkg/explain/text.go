package explain

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/holdfast-dht/holdfast/pkg/api"
)

// barWidth is the width of the timeline in a terminal, in characters.
const barWidth = 24

// Text writes a trace for a terminal: what happened, then a line for each request
// with its place in time. key is how people write the trace's key.
func Text(w io.Writer, t *api.Trace, key string) error {
	fmt.Fprintf(w, "%s %s: %s after %s\n", clean(t.Kind), clean(key), outcome(t), span(t.TookMs))
	then := ""
	if t.StoreSent > 0 {
		then = ", after " + span(t.LookupMs) + "; then it stored"
	}
	fmt.Fprintf(w, "%s%s. %s.\n", Why(t), then, Summary(t))
	if len(t.Steps) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	end := total(t)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	ruler := "0" + strings.Repeat(" ", max(1, barWidth-1-len(span(end)))) + span(end)
	fmt.Fprintf(tw, "HOP\tCPL\tSENT\tTOOK\t%s\tRANK\tPEER\tANSWER\n", ruler)
	for i := range t.Steps {
		s := &t.Steps[i]
		hop, rank := fmt.Sprint(s.Hop), "-"
		if s.Role == "store" {
			hop = "put"
		}
		if s.Rank > 0 {
			rank = fmt.Sprint(s.Rank)
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", hop, s.CPL, span(s.SentMs), span(s.EndedMs-s.SentMs),
			bar(s, end), rank, clean(s.PeerID), Answer(s))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, legend(t))
	return err
}

// Marks of the timeline: who answers, who is late, who fails, who is not waited
// for.
const (
	markAnswered  = '█'
	markSlow      = '▒'
	markFailed    = '×'
	markCancelled = '·'
)

// bar draws when a request was under way.
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

func legend(t *api.Trace) string {
	text := "CPL: leading bits shared with the key. RANK: among the closest in the end. " +
		"█ answered  ▒ late  × failed  · not waited for\n"
	if t.Omitted > 0 {
		text += fmt.Sprintf("%d more requests were not kept.\n", t.Omitted)
	}
	return text
}
