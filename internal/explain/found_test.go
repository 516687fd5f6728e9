package explain

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// both returns a trace as text and as a page.
func both(t *testing.T, trace *api.Trace) (text, page string) {
	t.Helper()
	var a, b bytes.Buffer
	require.NoError(t, Text(&a, trace, "k", 0, plain))
	require.NoError(t, HTML(&b, trace, "k"))
	return a.String(), b.String()
}

// A value is shown as text if it is printable, otherwise in hex; a long one is cut.
func TestValues(t *testing.T) {
	long := strings.Repeat("é", 300)
	for _, tt := range []struct {
		name, value string
		bytes       int
		note, shown string
	}{
		{"text", "hello", 5, "5 bytes.", "hello"},
		{"one byte", "h", 1, "1 byte.", "h"},
		{"lines", "a\n\tb", 4, "4 bytes.", "a\n\tb"},
		{"cut within a letter", long[:511], 600, "600 bytes. The first 510 bytes are shown.", long[:510]},
		{"cut", "hello", 10240, "10,240 bytes. The first 5 bytes are shown.", "hello"},
		{"binary", "\x00\x01\xff\xfe\x10", 5, "5 bytes, not text: shown in hex.", "0001fffe 10"},
		{"a control sequence", "\x1b[2J", 4, "4 bytes, not text: shown in hex.", "1b5b324a"},
		{"reversed text", "a\u202eb", 5, "5 bytes, not text: shown in hex.", "61e280ae 62"},
		{"half a letter that is all", "\xc3", 1, "1 byte, not text: shown in hex.", "c3"},
		{"the most hex", strings.Repeat("\x00", maxHex), maxHex, "64 bytes, not text: shown in hex.", strings.TrimSpace(strings.Repeat("00000000 ", 16))},
		{"one more", strings.Repeat("\x00", maxHex+1), maxHex + 1, "65 bytes, not text: shown in hex. The first 64 bytes are shown.", strings.TrimSpace(strings.Repeat("00000000 ", 16))},
		{"left out", "", 9, "9 bytes. It is not shown here.", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trace := &api.Trace{Kind: "find_value", Outcome: "ok", Value: []byte(tt.value), ValueBytes: tt.bytes}
			f := foundBy(trace)
			require.Equal(t, found{Title: "Value", Note: tt.note, Value: tt.shown}, f)
			text, page := both(t, trace)
			require.Contains(t, text, "Value: "+tt.note+"\n")
			require.Contains(t, page, ">"+tt.note+"</p>")
			require.NotContains(t, text, "\x1b")
			trace.Kind = "store_value"
			require.Equal(t, "Value stored", foundBy(trace).Title)
		})
	}
}

// A value that this node's own store had is not attributed to the network.
func TestOwnValue(t *testing.T) {
	trace := &api.Trace{Kind: "find_value", Outcome: "ok", Value: []byte("hello"), ValueBytes: 5, OwnValue: true, Steps: []api.TraceStep{{State: "answered", Value: "other"}}}
	text, page := both(t, trace)
	require.Contains(t, text, "Value: 5 bytes. It came from this node's own store: no peer returned it.\n")
	require.Contains(t, page, ">5 bytes. It came from this node&#39;s own store: no peer returned it.</p>")
	trace.Value = nil // on the metrics listener
	require.Equal(t, "5 bytes. It is not shown here. It came from this node's own store: no peer returned it.", foundBy(trace).Note)
	trace.Steps[0].Value = "best"
	require.Equal(t, "5 bytes. It is not shown here. This node's own store has it too.", foundBy(trace).Note)
	trace.OwnValue = false
	require.Equal(t, "5 bytes. It is not shown here.", foundBy(trace).Note)
}

// Providers are shown with their addresses, and how many more there are.
func TestProviders(t *testing.T) {
	trace := &api.Trace{
		Kind: "find_providers", Outcome: "ok", FoundPeers: 1234,
		Found: []api.Peer{{PeerID: "12D3one", Addrs: []string{"/ip4/192.0.2.1/tcp/4011", "/dns4/\x1bx/tcp/1"}}, {PeerID: "12D3<two>"}},
	}
	text, page := both(t, trace)
	require.Contains(t, text, "Providers: 1,234 providers; the first 2 are shown.\n  12D3one /ip4/192.0.2.1/tcp/4011 /dns4/?x/tcp/1\n  12D3<two>\n")
	require.Contains(t, page, "1,234 providers; the first 2 are shown.")
	require.Contains(t, page, `12D3one<span class="addr">/ip4/192.0.2.1/tcp/4011</span><span class="addr">/dns4/?x/tcp/1</span></p>`)
	require.Contains(t, page, `12D3&lt;two&gt;<span class="addr">no addresses</span></p>`)

	trace.FoundPeers = 2
	text, _ = both(t, trace)
	require.Contains(t, text, "\nProviders:\n  12D3one")
}

// A trace that contains nothing of what was found says so.
func TestNothingFoundOrKept(t *testing.T) {
	for _, tt := range []struct{ kind, outcome, want string }{
		{"find_value", "ok", "Value: This trace does not contain the value that was found."},
		{"find_value", "not_found", "Value: No value was found."},
		{"find_providers", "ok", "Providers: This trace does not contain the provider that was found."},
		{"find_providers", "failed", "Providers: No provider was found."},
		{"find_peer", "not_found", "Addresses of the peer: No address was found."},
		{"find_closest", "ok", ""}, {"store_provider", "ok", ""}, {"refresh", "ok", ""}, {"of tomorrow", "ok", ""},
	} {
		text, page := both(t, &api.Trace{Kind: tt.kind, Outcome: tt.outcome, End: "nearest"})
		require.Contains(t, text, tt.want)
		_, note, _ := strings.Cut(tt.want, ": ")
		require.Contains(t, page, note)
		if tt.want == "" {
			require.Equal(t, found{}, foundBy(&api.Trace{Kind: tt.kind, Outcome: tt.outcome}))
		}
	}
}

// A peer that was looked up shares all bits with the key. It has a place of its own in the
// plot, so the others are not pressed together.
func TestPeerItself(t *testing.T) {
	trace := &api.Trace{Kind: "find_peer", Outcome: "ok", End: "enough", TookMs: 50, Asked: 2, Responded: 2, Steps: []api.TraceStep{
		{PeerID: "12D3a", Role: "lookup", State: "answered", CPL: 3, EndedMs: 20, Named: 20},
		{PeerID: "12D3b", Role: "lookup", State: "answered", CPL: 256, SentMs: 20, EndedMs: 50},
	}}
	text, page := both(t, trace)
	require.Contains(t, text, "\nIt ended because the peer itself had answered. ")
	require.Contains(t, text, "\n0    itself  20 ms")
	require.NotContains(t, text+page, fmt.Sprint(kad.KeyBits, " "))
	require.NotContains(t, page, fmt.Sprint(">", kad.KeyBits))
	levels := (&layout{trace: trace, end: 50}).plot().Levels
	require.Equal(t, "3", levels[0].Text)
	require.Equal(t, level{plotTop, "itself"}, levels[len(levels)-1])
	require.Equal(t, "7", levels[len(levels)-2].Text)
	require.Contains(t, page, "the nearest peer that had answered: CPL 3 after 20 ms, CPL itself after 50 ms")
}

func TestWords(t *testing.T) {
	for ms, want := range map[float64]string{
		0: "0 ms", -1: "0 ms", 0.0004: "0 µs", 0.75: "750 µs", 0.994: "990 µs", 0.9951: "1 ms", 1: "1 ms", 19.649: "19.6 ms", 99.94: "99.9 ms",
		99.96: "100 ms", 999.4: "999 ms", 999.6: "1 s", 1300: "1.3 s", 65432: "65.43 s",
	} {
		require.Equal(t, want, Span(ms), "%v", ms)
	}
	require.Equal(t, "GET", Action("find_value"))
	require.Equal(t, "of tomorrow?", Action("of tomorrow\n"))
	require.Equal(t, "found", Outcome(&api.Trace{Kind: "find_peer", Outcome: "ok"}))
	require.Equal(t, "done", Outcome(&api.Trace{Kind: "store_value", Outcome: "ok"}))
	require.Equal(t, "not found", Outcome(&api.Trace{Kind: "find_value", Outcome: "not_found"}))
	require.Equal(t, "odd?", Outcome(&api.Trace{Outcome: "odd\t"}))
	require.Equal(t, "nearest: the nearest known peers had all answered; exhausted: it had asked every known peer",
		EndLegend(map[string]bool{"exhausted": true, "nearest": true, "of tomorrow": true}))
	require.Empty(t, EndLegend(nil))
	require.Equal(t, "It ended: soon?", why(&api.Trace{End: "soon\n"}))
	require.Equal(t, "The trace does not say why it ended", why(&api.Trace{}))
	for _, r := range reasons {
		require.Equal(t, r.sentence, why(&api.Trace{End: r.end}))
	}
}

// Times on the axis are round, begin at 0 and stay within the plot.
func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		end  float64
		want string
	}{
		{19.6, "0 5 ms 10 ms 15 ms"}, {20, "0 5 ms 10 ms 15 ms 20 ms"}, {1300, "0 500 ms 1 s"}, {0.01, "0 10 µs"}, {60000, "0 20 s 40 s 60 s"},
	} {
		var texts []string
		for _, x := range (&layout{end: tt.end}).ticks() {
			texts = append(texts, x.Text)
			require.LessOrEqual(t, x.X, 100.)
			require.Equal(t, x.X > 92, x.Anchor == "end", fmt.Sprint(x))
		}
		require.Equal(t, tt.want, strings.Join(texts, " "))
	}
}

// The plot labels at most maxLevels prefix lengths, and the lowest of them.
func TestLevelsAreBounded(t *testing.T) {
	most := 0
	for high := range kad.KeyBits {
		trace := &api.Trace{Steps: []api.TraceStep{{CPL: 0}, {CPL: high}}}
		levels := (&layout{trace: trace, end: 1}).plot().Levels
		require.LessOrEqual(t, len(levels), maxLevels)
		require.Equal(t, "0", levels[0].Text)
		most = max(most, len(levels))
	}
	require.Equal(t, maxLevels, most)
}
