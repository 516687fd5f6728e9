package explain

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Kind is a kind of queries, with its name in words.
type Kind struct{ Kind, Words string }

// Kinds are the kinds of queries in the order of lists. Where a command makes such a query,
// the words are its name.
var Kinds = []Kind{
	{"find_value", "GET"}, {"find_providers", "FIND PROVIDERS"}, {"find_peer", "FIND PEER"}, {"find_closest", "CLOSEST PEERS"},
	{"store_value", "PUT"}, {"store_provider", "PROVIDE"}, {"refresh", "REFRESH"}, {"correct", "CORRECT"},
}

// Action returns the kind of a query in words: "GET" for find_value.
func Action(kind string) string {
	for _, k := range Kinds {
		if k.Kind == kind {
			return k.Words
		}
	}
	return columns.Printable(kind)
}

// reason is why a lookup ended: a word of api.Trace.End, with a sentence for one lookup
// and the words of a legend.
type reason struct{ end, sentence, legend string }

var reasons = []reason{
	{"nearest", "It ended because the nearest known peers had all answered", "the nearest known peers had all answered"},
	{"enough", "It ended because it had found enough", "it had found enough"},
	{"exhausted", "It ended because it had asked every known peer", "it had asked every known peer"},
	{"nobody", "There was no peer to ask", "there was no peer to ask"},
	{"timeout", "It timed out", "it timed out"},
	{"cancelled", "The caller cancelled it", "the caller cancelled it"},
	{"none", "There was no lookup: the record went to peers that were already known", "no lookup: the record went to known peers"},
}

// why returns a sentence that says why the lookup ended.
func why(t *api.Trace) string {
	if t.End == "enough" && t.Kind == "find_peer" {
		return "It ended because the peer itself had answered"
	}
	for _, r := range reasons {
		if r.end == t.End {
			return r.sentence
		}
	}
	if t.End == "" {
		return "The trace does not say why it ended"
	}
	return "It ended: " + columns.Printable(t.End)
}

// EndLegend explains those words of api.Trace.End that occur in a list of traces.
func EndLegend(ends map[string]bool) string {
	var parts []string
	for _, r := range reasons {
		if ends[r.end] {
			parts = append(parts, r.end+": "+r.legend)
		}
	}
	return strings.Join(parts, "; ")
}

// outcomes are the outcomes of a query in words.
var outcomes = map[string]string{"ok": "done", "not_found": "not found", "failed": "failed", "cancelled": "cancelled"}

// Outcome returns the outcome of a query in words.
func Outcome(t *api.Trace) string {
	words, ok := outcomes[t.Outcome]
	switch {
	case t.Outcome == "ok" && (wantsValue(t) || wantsPeers(t)):
		return "found"
	case ok:
		return words
	}
	return columns.Printable(t.Outcome)
}

func wantsValue(t *api.Trace) bool { return t.Kind == "find_value" }
func wantsPeers(t *api.Trace) bool { return t.Kind == "find_providers" || t.Kind == "find_peer" }

// summary returns a sentence that says what the query did.
func summary(t *api.Trace) string {
	s := fmt.Sprintf("%s known at the start, %d asked, %d answered, %d failed, %s deep",
		english.Plural(t.Seeds, "peer", ""), t.Asked, t.Responded, t.Failed, english.Plural(t.Hops, "hop", ""))
	if t.StoreSent > 0 {
		s += fmt.Sprintf("; stored at %d of %d", t.StoredAt, t.StoreSent)
	}
	return s
}

// cpl returns a common prefix length as text. A peer that shares all bits with the key is
// the peer that was looked up.
func cpl(bits int) string {
	if bits >= kad.KeyBits {
		return "itself"
	}
	return strconv.Itoa(bits)
}

// answer returns the result of a step in words.
func answer(s *api.TraceStep) string {
	var parts []string
	if s.SlowMs > 0 {
		parts = append(parts, "slow after "+Span(s.SlowMs-s.SentMs))
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

// Span formats milliseconds, rounded: "750 µs", "19.6 ms", "1.3 s".
func Span(ms float64) string {
	switch {
	case ms <= 0:
		return "0 ms"
	case ms < 0.995:
		return decimal(ms*1000, -1) + " µs"
	case ms < 99.95:
		return decimal(ms, 1) + " ms"
	case ms < 999.5:
		return decimal(ms, 0) + " ms"
	}
	return decimal(ms/1000, 2) + " s"
}

// decimal rounds x to a number of decimal places and omits zeros at their end; -1 rounds
// to tens.
func decimal(x float64, places int) string {
	scale := math.Pow10(places)
	return strconv.FormatFloat(math.Round(x*scale)/scale, 'f', -1, 64)
}

// total returns the time of the last event of a trace, in milliseconds.
func total(t *api.Trace) float64 {
	end := t.TookMs
	for i := range t.Steps {
		end = max(end, t.Steps[i].EndedMs)
	}
	return max(end, 0.01) // avoids a division by zero
}
