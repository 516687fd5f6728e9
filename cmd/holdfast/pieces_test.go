package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// wordsOf draws a command line of words that --bootstrap takes as values or not.
func wordsOf(t *rapid.T) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{
		"--bootstrap", "--bootstrap", "--bootstrap=" + someAddr, "--bootstrap=", someAddr, "/dns4/example.org/tcp/1", "/ip6/::1/udp/1/quic-v1",
		"/ip4/300.0.0.1/tcp/1", "/pk/" + somePeer, "/ip4", "key", "--json", "-", "-o", "--",
	}), 0, 8).Draw(t, "words")
}

// expandBootstrap adds and removes only the name of the flag: all other words stay, in
// their order.
func TestBootstrapKeepsEveryWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := wordsOf(t)
		taken := expandBootstrap(given)
		require.Equal(t, withoutFlag(given), withoutFlag(taken))
		require.Equal(t, taken, expandBootstrap(taken), "a second time changes nothing")
		// All addresses right after a --bootstrap are values of the flag.
		var read []string
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		f.StringArrayVar(&read, "bootstrap", nil, "")
		f.Bool("json", false, "")
		f.StringP("output", "o", "", "")
		if f.Parse(taken) == nil && !slices.Contains(given, "-o") {
			require.Equal(t, bootstrapsOf(given), read)
		}
	})
}

// withoutFlag returns the words except those that are only the name of the flag.
func withoutFlag(words []string) (rest []string) {
	for i, w := range words {
		if w == "--" {
			return append(rest, words[i:]...)
		}
		if w != bootstrapFlag {
			rest = append(rest, w)
		}
	}
	return rest
}

// bootstrapsOf is a second implementation: it reads the values of --bootstrap word by word.
func bootstrapsOf(words []string) (values []string) {
	const no, first, more = 0, 1, 2
	state := no
	for _, w := range words {
		value, joined := strings.CutPrefix(w, bootstrapFlag+"=")
		switch {
		case w == "--":
			return values
		case joined:
			values, state = append(values, value), more
		case w == bootstrapFlag:
			state = first
		case state == first && !strings.HasPrefix(w, "-"), state == more && isAddr(w):
			values, state = append(values, w), more
		default:
			state = no
		}
	}
	return values
}

// wantsJSON finds --json exactly where the parser of flags finds it.
func TestWantsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.SliceOfN(rapid.SampledFrom([]string{"--json", "--", "k", "--count", "3", "--wait"}), 0, 6).Draw(t, "args")
		want := false
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		f.BoolVar(&want, "json", false, "")
		f.Bool("wait", false, "")
		f.Bool("count", false, "")
		require.NoError(t, f.Parse(args))
		require.Equal(t, want, wantsJSON(args))
	})
}

// time.ParseDuration reads a span back to the rounded duration, and the span of a longer
// duration is not shorter.
func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1: "<1ms", time.Millisecond: "1ms", 999*time.Millisecond + 499*time.Microsecond: "999ms", time.Second: "1s",
		90 * time.Second: "1m30s", time.Hour: "1h0m", 22 * time.Hour: "22h0m", 25*time.Hour + 29*time.Second: "25h0m", 25*time.Hour + 30*time.Second: "25h1m",
		time.Hour - time.Millisecond: "1h0m",
	} {
		require.Equal(t, want, span(d), d.String())
	}
	longest := int64(300 * 24 * time.Hour)
	rapid.Check(t, func(t *rapid.T) {
		exponent := rapid.IntRange(0, 54).Draw(t, "exponent")
		a := time.Duration(rapid.Int64Range(0, min(int64(1)<<exponent, longest)).Draw(t, "a"))
		b := a + time.Duration(rapid.Int64Range(0, min(int64(1)<<exponent, longest)).Draw(t, "more"))
		require.LessOrEqual(t, readSpan(t, a), readSpan(t, b))
		unit := time.Minute
		if a < time.Hour {
			unit = time.Second
		}
		if a < time.Second {
			unit = time.Millisecond
		}
		require.LessOrEqual(t, (readSpan(t, a) - a).Abs(), unit/2+unit%2)
	})
}

func readSpan(t *rapid.T, d time.Duration) time.Duration {
	text := span(d)
	if text == "<1ms" {
		require.Less(t, d, time.Millisecond)
		return d
	}
	read, err := time.ParseDuration(text)
	require.NoError(t, err)
	return read
}

// bucketsOf gives the same sums as counting the peers of each bucket separately.
func TestBucketsOf(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var peers []api.TablePeer
		for range rapid.IntRange(0, 60).Draw(t, "peers") {
			p := api.TablePeer{CPL: rapid.IntRange(0, 20).Draw(t, "cpl"), Verified: rapid.Bool().Draw(t, "verified")}
			p.LastSeen = at.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "seen")) * time.Second)
			peers = append(peers, p)
		}
		have := bucketsOf(peers)
		deepest := -1
		for _, p := range peers {
			deepest = max(deepest, p.CPL)
		}
		require.Len(t, have, deepest+1)
		for cpl, b := range have {
			want := bucket{CPL: cpl, Room: bucketSize}
			var seen []time.Time
			below := 0
			for _, p := range peers {
				if p.CPL > cpl {
					below++
				}
				if p.CPL != cpl {
					continue
				}
				want.Peers++
				seen = append(seen, p.LastSeen)
				if p.Verified {
					want.Verified++
				}
			}
			sort.Slice(seen, func(i, j int) bool { return seen[i].Before(seen[j]) })
			if len(seen) > 0 {
				want.Oldest, want.Newest = seen[0], seen[len(seen)-1]
			}
			want.Gap = want.Peers == 0 && below >= 6
			require.Equal(t, want, b)
		}
	})
}

// A line of progress is not wider than the terminal, stays unchanged if it fits, and keeps
// the amounts while there is room for them.
func TestProgressFitsAnyWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := progress{what: rapid.StringMatching(`[a-zé会 /.]{1,60}`).Draw(t, "what")}
		amounts := rapid.StringMatching(` [0-9]{1,6} of [0-9]{1,6}`).Draw(t, "amounts")
		width := rapid.IntRange(1, 100).Draw(t, "width")
		fits := p.fit(p.what+amounts, width)
		require.LessOrEqual(t, ansi.StringWidth(fits), width)
		if ansi.StringWidth(p.what+amounts) <= width {
			require.Equal(t, p.what+amounts, fits)
		}
		if width >= len("...")+len(amounts) {
			require.True(t, strings.HasSuffix(fits, amounts), "%q", fits)
		}
	})
}

// The percentage, the rate and the time to go agree with the amounts.
func TestProgressAddsUp(t *testing.T) {
	plain := func(n int64) string { return fmt.Sprint(n) }
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(1, 1_000_000).Draw(t, "total")
		p := progress{what: "done", text: plain, total: total, done: rapid.Int64Range(0, total).Draw(t, "done")}
		took := rapid.IntRange(1, 10_000).Draw(t, "seconds")
		line := p.line(time.Duration(took) * time.Second)
		percent := fmt.Sprintf("done %d of %d (%d %%)", p.done, total, p.done*100/total)
		require.True(t, strings.HasPrefix(line, percent), line)
		require.Equal(t, p.done > 0, strings.Contains(line, " a second"), line)
		toGo := float64(total-p.done) * float64(took) / float64(p.done)
		if toGo < 0.999*longestToGo.Seconds() || toGo > 1.001*longestToGo.Seconds() {
			require.Equal(t, 0 < toGo && toGo < longestToGo.Seconds(), strings.Contains(line, " to go"), line)
		}
		if i := strings.LastIndex(line, ", "); strings.HasSuffix(line, " to go") {
			left, err := time.ParseDuration(strings.TrimSuffix(line[i+2:], " to go"))
			require.NoError(t, err)
			within := 0.501 // it is rounded to a second
			if toGo > 3599 {
				within += 30 // and then to a minute
			}
			require.InDelta(t, toGo, left.Seconds(), within, line)
		}
	})
}

// The ring has a character for each sector. More time left never gives a lighter character.
func TestRing(t *testing.T) {
	const ink = " .:-=+*%#"
	rapid.Check(t, func(t *rapid.T) {
		var ring []api.Sector
		for range rapid.IntRange(0, 64).Draw(t, "sectors") {
			ring = append(ring, api.Sector{
				Keys: rapid.IntRange(0, 3).Draw(t, "keys"), Overdue: rapid.IntRange(0, 1).Draw(t, "overdue"),
				Left: rapid.Float64Range(0, 1).Draw(t, "left"),
			})
		}
		text := ringText(ring)
		require.Len(t, text, len(ring))
		for i, a := range ring {
			if a.Keys == 0 || a.Overdue > 0 {
				require.Equal(t, map[bool]byte{true: ' ', false: '!'}[a.Keys == 0], text[i])
				continue
			}
			for j, b := range ring[:i] {
				if b.Keys > 0 && b.Overdue == 0 && b.Left <= a.Left {
					require.LessOrEqual(t, strings.IndexByte(ink, text[j]), strings.IndexByte(ink, text[i]))
				}
			}
		}
	})
	require.Equal(t, ".#", ringText([]api.Sector{{Keys: 1, Left: 0}, {Keys: 1, Left: 1}}))
}

// beside puts the lines of the right block all in the same column.
func TestBeside(t *testing.T) {
	line := rapid.StringMatching(`[a-z]([a-z ]{0,40}[a-z])?`)
	rapid.Check(t, func(t *rapid.T) {
		left := rapid.SliceOfN(line, 0, 5).Draw(t, "left")
		right := rapid.SliceOfN(line, 0, 5).Draw(t, "right")
		both := beside(left, right)
		require.Len(t, both, max(len(left), len(right)))
		for i, text := range both {
			padded := fmt.Sprintf("%-*s", halfWidth+2, text)
			if i < len(left) {
				require.Equal(t, left[i], strings.TrimRight(padded[:halfWidth+2], " "))
			}
			if i < len(right) {
				require.Equal(t, right[i], padded[halfWidth+2:])
			}
		}
	})
}

// A rate is the increase of a counter by the seconds between two overviews. It is unknown
// if the daemon has restarted in between.
func TestRates(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	count := func(t *api.Traffic) uint64 { return t.Received }
	for _, c := range []struct {
		was, is uint64
		seconds int
		want    string
		bytes   string
	}{
		{0, 5, 10, "0.5", "0 B/s"},
		{100, 1099, 10, "99.9", "99 B/s"},
		{100, 1100, 10, "100", "100 B/s"},
		{0, 12_345_678, 1, "12,345,678", "12 MiB/s"},
		{7, 7, 1, "0.0", "0 B/s"},
		{8, 7, 1, "-", "-"},
		{0, 7, 0, "-", "-"},
		{0, 7, -1, "-", "-"},
	} {
		before := &api.Overview{Taken: at, Traffic: api.Traffic{Received: c.was}}
		now := &api.Overview{Taken: at.Add(time.Duration(c.seconds) * time.Second), Traffic: api.Traffic{Received: c.is}}
		r := rates{now: now, before: before}
		require.Equal(t, c.want, r.of(count), c)
		require.Equal(t, c.bytes, r.bytes(count), c)
		require.Equal(t, "-", rates{now: now}.of(count), "of the first picture")
	}
}

// wrapped keeps all words, in lines of at most the width.
func TestWrapped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringMatching(`[a-z-]{1,20}`), 1, 30).Draw(t, "names")
		text := wrapped(names, 84)
		require.Equal(t, strings.Join(names, ", "), strings.Join(strings.Fields(text), " "))
		for line := range strings.SplitSeq(text, "\n") {
			require.LessOrEqual(t, len(line), 84)
		}
	})
}

// The texts of status and republish status for numbers, next to each other.
func TestWordsForNumbers(t *testing.T) {
	for want, have := range map[string]string{
		"none, records are in memory": databaseText(&api.Status{}),
		"1.0 KiB of at most 1.0 GiB":  databaseText(&api.Status{DBBytes: 1024, DBMaxBytes: 1 << 30, DBMost: 1 << 30}),
		"0 B of at most 2.0 MiB (all that the disk has space for; storage.max_bytes is 1.0 GiB)": databaseText(&api.Status{DBMaxBytes: 1 << 30, DBMost: 2 << 20}),
		"95 % used":                   spaceText(&api.Status{DBMaxBytes: 1 << 30, DBFill: .95}),
		"3 % used, 32 MiB of 1.0 GiB": spaceText(&api.Status{DBBytes: 1024, DBMaxBytes: 1 << 30, DBMost: 1 << 30, DBFill: 1. / 32}),
		"-":                           diskText(&api.Status{DiskFree: 1}),
		"1.0 KiB of 1.0 MiB free":     diskText(&api.Status{DiskFree: 1024, DiskTotal: 1 << 20}),
		"none":                        copiesText(&api.Status{CopiesBytes: 7}),
		"1 file of 7 B (*.corrupt-*, *.replaced*, *.schema-*); remove them when you no longer need them":      copiesText(&api.Status{Copies: 1, CopiesBytes: 7}),
		"2 files of 1.0 MiB (*.corrupt-*, *.replaced*, *.schema-*); remove them when you no longer need them": copiesText(&api.Status{Copies: 2, CopiesBytes: 1 << 20}),
		"nothing":          refusedText(nil),
		"1 record: 1 by a": refusedText(map[string]int64{"a": 1}),
		"1,234,567 records: 1,234,565 by a, 2 by b":                                    refusedText(map[string]int64{"b": 2, "a": 1_234_565}),
		"http://[::1]:9474/ (/metrics for Prometheus)":                                 webText("[::1]:9474"),
		"stored at 1 peer":                                                             storedAt(&api.Stored{StoredAt: 1, Sent: 20}),
		"kept here, not published yet: none of 1 peer took it; the node tries again":   storedAt(&api.Stored{Sent: 1}),
		"kept here, not published yet: none of 20 peers took it; the node tries again": storedAt(&api.Stored{Sent: 20}),
		"1 key is":    areKeys(1),
		"0 keys are":  areKeys(0),
		"12345 peers": counted(12345, "peer"),
		"0 B":         bytesText(-1),
		"never":       ago(time.Time{}),
		"now":         until(time.Unix(1, 0)),
	} {
		require.Equal(t, want, have)
	}
}

// The error of a lookup that found nothing names the key and has the right code.
func TestFoundNothing(t *testing.T) {
	for _, c := range []struct {
		trace api.Trace
		says  string
		is    error
	}{
		{api.Trace{Outcome: "ok"}, "", nil},
		{api.Trace{Outcome: "cancelled"}, "", nil},
		{api.Trace{Outcome: "not_found", Asked: 3}, "nothing found under key k", api.ErrNotFound},
		{api.Trace{Outcome: "failed"}, "no peer could be asked; `holdfast status` shows the state of the routing table", api.ErrNoPeers},
		{api.Trace{Outcome: "failed", Asked: 1}, "none of 1 peer answered", api.ErrNoPeers},
		{api.Trace{Outcome: "failed", Asked: 20}, "none of 20 peers answered", api.ErrNoPeers},
	} {
		err := foundNothing(&c.trace, "k")
		require.True(t, errors.Is(err, c.is), "%v", err)
		if c.is != nil {
			require.EqualError(t, err, c.says)
		}
	}
}

// The row of the peers that are summed up names no peer. Records that the store cannot
// count are shown as a dash.
func TestUsageRow(t *testing.T) {
	row := func(p api.PeerUsage) string {
		var out bytes.Buffer
		require.NoError(t, (&app{out: &out}).table([]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"}, [][]string{usageRow(&p)}))
		return strings.Join(strings.Fields(strings.SplitN(out.String(), "\n", 2)[1]), " ")
	}
	require.Equal(t, "(others) 7 0 0 0 0 0 0 0 0 B 0 B 0s - never -", row(api.PeerUsage{Requests: 7, RecordsHeld: 3}))
	require.Equal(t, "p 7 1 2 3 4 5 6 8 1.0 KiB 1.0 MiB 2s 0 never kubo", row(api.PeerUsage{
		PeerID: "p", Agent: "kubo", Requests: 7, Rejected: 8, BytesIn: 1024, BytesOut: 1 << 20, BusyMs: 2000,
		ByType: map[string]uint64{"FIND_NODE": 1, "GET_PROVIDERS": 2, "ADD_PROVIDER": 3, "GET_VALUE": 4, "PUT_VALUE": 5, "PING": 6},
	}))
	require.Contains(t, row(api.PeerUsage{PeerID: "p", RecordsHeld: -1}), " - never -")
}

// status and top print the same estimate of the network size: a whole number of peers, or
// unknown.
func TestNetworkSize(t *testing.T) {
	for size, want := range map[float64]string{0: "unknown", 0.6: "about 1 peer", 1: "about 1 peer", 1.5: "about 2 peers", 9812.6: "about 9,813 peers", 1e15: "about 1,000,000,000,000,000 peers"} {
		var out bytes.Buffer
		s := api.Status{NetworkSize: size, VerifiedPeers: 1}
		require.NoError(t, (&statusCommand{app: &app{out: &out}}).print(&s))
		require.Regexp(t, `(?m)^Network size: +`+want+`$`, out.String())
		require.Contains(t, topText(&api.Overview{Status: s}, nil, 100), ", network "+want+"\n")
	}
}

// A time to go of more than a year is not shown.
func TestLongestToGo(t *testing.T) {
	year := int64(longestToGo / time.Second)
	p := progress{what: "done", text: func(n int64) string { return fmt.Sprint(n) }, done: 1, total: year + 1}
	require.Equal(t, fmt.Sprintf("done 1 of %d (0 %%), 1.0 a second, 8760h0m to go", p.total), p.line(time.Second))
	for _, total := range []int64{year + 2, 1 << 60} {
		p.total = total
		require.Equal(t, fmt.Sprintf("done 1 of %d (0 %%), 1.0 a second", total), p.line(time.Second))
	}
}
