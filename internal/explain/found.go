package explain

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
)

// maxHex limits how many bytes of a value that is not text are shown, as hex.
const maxHex = 64

// found is what a query found, or the value that it stored.
type found struct {
	Title string // empty: this kind of query finds nothing but closest peers
	Note  string // what is shown of how much, or why nothing is
	Value string // text, or hex
	Peers []peer
}

// foundBy returns what a query found. A trace of an older daemon does not contain it.
func foundBy(t *api.Trace) found {
	switch {
	case t.ValueBytes > 0:
		return valueOf(t)
	case wantsValue(t):
		return found{Title: "Value", Note: missing(t, "value")}
	case t.Kind == "find_peer":
		return peersOf(t, "Addresses of the peer", "address")
	case t.Kind == "find_providers":
		return peersOf(t, "Providers", "provider")
	}
	return found{}
}

// missing says why no value and no provider can be shown.
func missing(t *api.Trace, thing string) string {
	if t.Outcome == "ok" {
		return "This trace does not contain the " + thing + " that was found."
	}
	return "No " + thing + " was found."
}

func valueOf(t *api.Trace) (f found) {
	f = found{Title: "Value", Note: count(t.ValueBytes, "byte") + "."}
	if !wantsValue(t) {
		f.Title = "Value stored"
	}
	defer func() { f.Note += ownValue(t) }()
	if len(t.Value) == 0 { // the metrics listener leaves it out
		f.Note += " It is not shown here."
		return f
	}
	shown := t.Value
	if text, ok := text(shown, len(shown) < t.ValueBytes); ok {
		f.Value, shown = text, []byte(text)
	} else {
		shown = shown[:min(len(shown), maxHex)]
		f.Value = spaced(hex.EncodeToString(shown))
		f.Note = count(t.ValueBytes, "byte") + ", not text: shown in hex."
	}
	if len(shown) < t.ValueBytes {
		f.Note += fmt.Sprintf(" The first %d bytes are shown.", len(shown))
	}
	return f
}

// ownValue says whether the value came from this node's own store.
func ownValue(t *api.Trace) string {
	switch {
	case !t.OwnValue:
		return ""
	case slices.ContainsFunc(t.Steps, func(s api.TraceStep) bool { return s.Value == "best" }):
		return " This node's own store has it too."
	}
	return " It came from this node's own store: no peer returned it."
}

// text returns a value as text, if it is printable. A value that was cut may end within a
// letter.
func text(value []byte, cut bool) (string, bool) {
	s := string(value)
	for n := 0; cut && n < utf8.UTFMax-1 && !utf8.ValidString(s); n++ {
		s = s[:len(s)-1]
	}
	bad := func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }
	return s, s != "" && utf8.ValidString(s) && strings.IndexFunc(s, bad) < 0
}

// spaced puts a space after each eight hex digits, where a line can break.
func spaced(digits string) string {
	var b strings.Builder
	for i := 0; i < len(digits); i += 8 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(digits[i:min(i+8, len(digits))])
	}
	return b.String()
}

func peersOf(t *api.Trace, title, thing string) found {
	f := found{Title: title}
	for i := range t.Found {
		p := &t.Found[i]
		f.Peers = append(f.Peers, peer{ID: columns.Printable(p.PeerID), Addrs: printable(p.Addrs)})
	}
	switch {
	case len(t.Found) == 0:
		f.Note = missing(t, thing)
	case len(t.Found) < t.FoundPeers:
		f.Note = fmt.Sprintf("%s; the first %d are shown.", count(t.FoundPeers, thing), len(t.Found))
	}
	return f
}

func printable(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = columns.Printable(text)
	}
	return out
}

// count formats a number of things: "10,240 bytes".
func count(n int, thing string) string {
	return humanize.Comma(int64(n)) + " " + english.PluralWord(n, thing, "")
}
