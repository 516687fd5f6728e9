package explain

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"html"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata")

// story has a step of every kind.
func story() *api.Trace {
	return &api.Trace{
		ID: 7, Kind: "store_value", Key: []byte("/example/k"), Target: strings.Repeat("ab", 32),
		Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Outcome: "ok", End: "nearest", TookMs: 1300, LookupMs: 1200,
		Value: []byte("hello\nworld"), ValueBytes: 11,
		Seeds: 3, Asked: 5, Responded: 3, Failed: 1, Hops: 1, StoredAt: 1, StoreSent: 2, Omitted: 2,
		Steps: []api.TraceStep{
			{PeerID: "12D3KooWaaaaaaaa", Addr: "/ip4/192.0.2.1/tcp/4011", Role: "lookup", State: "answered", CPL: 4, Rank: 2, EndedMs: 40.25, RTTMs: 38, Named: 20, New: 17, Value: "other"},
			{PeerID: "12D3KooWbbbbbbbb", Role: "lookup", State: "answered", CPL: 2, Rank: 3, SlowMs: 1000, EndedMs: 1200, RTTMs: 1190, Providers: 1},
			{PeerID: "12D3KooWcccccccc", Role: "lookup", State: "failed", CPL: 3, SentMs: 2, EndedMs: 90, Error: "dial \x1b[31mrefused\n<script>alert(1)</script>"},
			{PeerID: "12D3KooWdddddddd", Role: "lookup", State: "answered", Hop: 1, CPL: 9, Rank: 1, SentMs: 40.25, EndedMs: 41, RTTMs: .7, Value: "best", Named: 1, New: 0},
			{PeerID: "12D3KooWeeeeeeee", Role: "lookup", State: "cancelled", Hop: 1, CPL: 5, SentMs: 41, EndedMs: 1200},
			{PeerID: "12D3KooWdddddddd", Role: "store", State: "answered", CPL: 9, Rank: 1, SentMs: 1200, EndedMs: 1250},
			{PeerID: "12D3KooWaaaaaaaa", Role: "store", State: "failed", CPL: 4, Rank: 2, SentMs: 1200, EndedMs: 1300, Error: "reset"},
		},
	}
}

func golden(t *testing.T, file, have string) {
	t.Helper()
	if *rewrite {
		require.NoError(t, os.WriteFile(file, []byte(have), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), have)
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Text(&out, story(), "/example/k", 0, plain))
	golden(t, "testdata/story.txt", out.String())
}

func plain(text string) string { return text }

// No line is wider than the terminal, and failed requests are coloured.
func TestTextFolds(t *testing.T) {
	for width := 60; width <= 200; width++ {
		var out bytes.Buffer
		require.NoError(t, Text(&out, story(), "/example/k", width, func(text string) string { return "!" + text }))
		require.Contains(t, out.String(), "!failed: dial")
		for line := range strings.SplitSeq(strings.ReplaceAll(out.String(), "!", ""), "\n") {
			require.LessOrEqual(t, utf8.RuneCountInString(line), width)
		}
	}
}

func TestTextOfNothing(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Text(&out, &api.Trace{Kind: "find_closest", Outcome: "failed", End: "nobody"}, "k\x1b[2J", 0, plain))
	require.Equal(t, "CLOSEST PEERS k?[2J: failed after 0 ms\nThere was no peer to ask. 0 peers known at the start, 0 asked, 0 answered, 0 failed, 0 hops deep.\n", out.String())
}

// A full disk or a closed pipe gives an error, wherever it happens.
func TestTextSaysThatItCannotBeWritten(t *testing.T) {
	for _, trace := range []*api.Trace{story(), {Kind: "find_closest", Outcome: "failed", End: "nobody"}} {
		for room := range 2 {
			require.ErrorIs(t, Text(&narrow{room: room}, trace, "k", 0, plain), io.ErrShortWrite)
		}
	}
}

// narrow is a writer with space for a number of bytes.
type narrow struct{ room int }

func (n *narrow) Write(b []byte) (int, error) {
	if len(b) > n.room {
		return n.room, io.ErrShortWrite
	}
	n.room -= len(b)
	return len(b), nil
}

var attribute = regexp.MustCompile(`(?i)(src|href|srcset|action|data|poster)\s*=|url\(|@import|<script|<link|<iframe`)

func TestPage(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, HTML(&out, story(), "<img src=x>/k"))
	text := out.String()
	require.Equal(t, 1, strings.Count(text, `<link rel="icon" href="data:,">`))
	loads := strings.NewReplacer("&lt;img src=x&gt;", "", `<link rel="icon" href="data:,">`, "").Replace(text)
	require.Empty(t, attribute.FindAllString(loads, -1), "it loads nothing")
	require.NotContains(t, text, "style=", "the policy forbids it")
	_, rest, _ := strings.Cut(text, "<style>")
	used, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(used))
	require.Contains(t, html.UnescapeString(text), `content="default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'sha256-`+base64.StdEncoding.EncodeToString(sum[:])+`'"`)
	require.NotContains(t, text, "\x1b")
	require.Contains(t, text, "&lt;script&gt;", "an error of a peer is text")
	require.Contains(t, text, "prefers-color-scheme: dark")
	require.Equal(t, 7, strings.Count(text, `<td class="peer mono"`))
	require.Equal(t, 1, strings.Count(text, `class="slow" x=`))
	require.Equal(t, 5+3, strings.Count(text, `<path class="`), "the lookup's requests, not the stores; and the legend")
	require.Equal(t, strings.Count(text, "<svg"), strings.Count(text, "</svg>"))
	require.NotContains(t, text, "NaN")
	require.NotContains(t, text, "ZgotmplZ", "the template refused a value")
}

// The page explains every column of the requests.
func TestPageExplainsItsColumns(t *testing.T) {
	for name := range strings.SplitSeq("Hop,CPL,Rank,Sent,Took,RTT,Answer", ",") {
		require.Contains(t, pageText, ">"+name+"</th>")
		require.True(t, slices.ContainsFunc(pageGuide(&api.Trace{}), func(g named) bool { return strings.Contains(g.Name, name) }), name)
	}
}

func TestPageOfNothing(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, HTML(&out, &api.Trace{Kind: "find_closest", Outcome: "failed", End: "nobody"}, "k"))
	require.NotContains(t, out.String(), "NaN")
	require.NotContains(t, out.String(), "<svg")
}

func TestBarsStayInTheirColumn(t *testing.T) {
	for _, s := range []api.TraceStep{
		{}, {SentMs: 10, EndedMs: 10}, {EndedMs: 10}, {SentMs: 3, EndedMs: 30}, {SentMs: 9.99, EndedMs: 10, SlowMs: 10},
	} {
		require.Len(t, []rune(bar(&s, 10)), barWidth, "%+v", s)
		require.NotEmpty(t, strings.TrimSpace(bar(&s, 10)))
	}
}
