package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
)

// why returns a sentence that says why the lookup ended.
func why(t *api.Trace) string {
	switch t.End {
	case "nearest":
		return "It ended because the nearest known peers had all answered"
	case "enough":
		return "It ended because it had found enough"
	case "exhausted":
		return "It ended because it had asked every known peer"
	case "nobody":
		return "There was no peer to ask"
	case "timeout":
		return "It timed out"
	case "cancelled":
		return "The caller cancelled it"
	}
	return "There was no lookup: the record went to peers that were already known"
}

// outcomes are the outcomes of a query in words.
var outcomes = map[string]string{"ok": "done", "not_found": "not found", "failed": "failed", "cancelled": "cancelled"}

func outcome(t *api.Trace) string {
	if words, ok := outcomes[t.Outcome]; ok {
		return words
	}
	return columns.Printable(t.Outcome)
}

// summary returns a sentence that says what the query did.
func summary(t *api.Trace) string {
	s := fmt.Sprintf("%s known at the start, %d asked, %d answered, %d failed, %s deep",
		english.Plural(t.Seeds, "peer", ""), t.Asked, t.Responded, t.Failed, english.Plural(t.Hops, "hop", ""))
	if t.StoreSent > 0 {
		s += fmt.Sprintf("; stored at %d of %d", t.StoredAt, t.StoreSent)
	}
	return s
}

// answer returns the result of a step in words.
func answer(s *api.TraceStep) string {
	var parts []string
	if s.SlowMs > 0 {
		parts = append(parts, "slow after "+span(s.SlowMs-s.SentMs))
	}
	switch s.State {
	case "failed":
		parts = append(parts, "failed: "+columns.Printable(s.Error))
	case "cancelled":
		parts = append(parts, "no longer waited for")
	case "answered":
		parts = append(parts, came(s)...)
	default:
		parts = append(parts, columns.Printable(s.State))
	}
	return strings.Join(parts, ", ")
}

// came lists the contents of an answer.
func came(s *api.TraceStep) []string {
	if s.Role == "store" {
		return []string{"stored"}
	}
	var parts []string
	switch s.Value {
	case "best":
		parts = append(parts, "the value")
	case "other":
		parts = append(parts, "another value")
	}
	if s.Providers > 0 {
		parts = append(parts, english.Plural(s.Providers, "provider", ""))
	}
	if s.Named > 0 || len(parts) == 0 {
		parts = append(parts, fmt.Sprintf("%s, %d new", english.Plural(s.Named, "peer", ""), s.New))
	}
	return parts
}

// span formats milliseconds, rounded.
func span(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < 100*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// total returns the time of the last event of a trace, in milliseconds.
func total(t *api.Trace) float64 {
	end := t.TookMs
	for i := range t.Steps {
		end = max(end, t.Steps[i].EndedMs)
	}
	return max(end, 0.01) // avoids a division by zero
}
