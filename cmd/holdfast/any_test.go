//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// hostile are texts that peers send to make a terminal or a script do something.
var hostile = []string{
	"", " ", "kubo/0.40.0", "\x1b[2J\x1b]0;owned\a", "a\nState: ready", "a\r\tb", "\u202eevil\u2066", "\x00\x7f\u0085", "\xff\xfe", "{\"a\":1}",
	"会议会议会议会议", "e\u0301\u0302\u0303", "👩‍👩‍👧‍👦", "%s%d%!", "`rm -rf /`", strings.Repeat("x", 300), strings.Repeat("/ip4/192.0.2.1/tcp/1", 20), "-", "--json",
}

// small names the fields whose values are bounded by the routing table.
var small = map[string]bool{"CPL": true, "Peers": true, "Verified": true, "Room": true}

// anything fills a value of the admin API with any value of its type.
func anything(t *rapid.T, v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = rapid.SampledFrom([]time.Time{{}, time.Unix(0, 0), time.Now(), time.Now().Add(time.Hour), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}).Draw(t, "time").UTC()
		return
	case *[]byte:
		*x = rapid.OneOf(rapid.Map(rapid.SampledFrom(hostile), func(s string) []byte { return []byte(s) }), rapid.SliceOfN(rapid.Byte(), 0, 80)).Draw(t, "bytes")
		return
	case *[]api.TraceStep:
		*x = nil // internal/explain tests them
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.SampledFrom(hostile), rapid.String()).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.SampledFrom([]int64{0, 1, 2, 1000, math.MaxInt32, math.MaxInt64}).Draw(t, "int"))
	case reflect.Uint64:
		v.SetUint(rapid.SampledFrom([]uint64{0, 1, 1000, math.MaxInt64}).Draw(t, "uint"))
	case reflect.Float64:
		v.SetFloat(rapid.SampledFrom([]float64{0, 1e-9, 0.5, 1, 86400.25, 1e12}).Draw(t, "float"))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(0, 3).Draw(t, "length"), 3))
		for i := range v.Len() {
			anything(t, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			entry := reflect.New(v.Type().Elem()).Elem()
			anything(t, entry)
			v.SetMapIndex(reflect.ValueOf(rapid.SampledFrom(hostile).Draw(t, "name")), entry)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.Int && small[v.Type().Field(i).Name] {
				f.SetInt(rapid.Int64Range(0, 40).Draw(t, "small"))
				continue
			}
			anything(t, v.Field(i))
		}
	default:
		t.Fatalf("no values of %s", v.Type())
	}
}

// draw fills a variable with any value of its type.
func draw[T any](t *rapid.T, v *T) { anything(t, reflect.ValueOf(v).Elem()) }

// drawAnswers fills all answers of a node.
func drawAnswers(t *rapid.T, b *scripted) {
	draw(t, &b.identity)
	draw(t, &b.status)
	draw(t, &b.table)
	draw(t, &b.peers)
	draw(t, &b.usage)
	draw(t, &b.published)
	draw(t, &b.pong)
	draw(t, &b.trace)
	draw(t, &b.traces)
	draw(t, &b.republish)
	draw(t, &b.levels)
	draw(t, &b.stored)
	draw(t, &b.found)
	if len(b.found) == 0 {
		b.found = []api.Peer{{}}
	}
}

// shows are the commands that print an answer of the daemon, each with the number of
// lines that it prints and its objects with --json.
var shows = []struct {
	line    string
	lines   func(b *scripted) int // without a terminal; nil: any number
	objects func(b *scripted) []any
}{
	{"id", nil, func(b *scripted) []any { return []any{b.identity} }},
	{"status", func(b *scripted) int { return 24 + len(verdictFields(&b.status.Verdict)) }, func(b *scripted) []any { return []any{b.status} }},
	{"table", func(b *scripted) int { return len(b.table) + 1 }, func(b *scripted) []any { return all(b.table) }},
	{"peers", func(b *scripted) int { return len(b.peers) + 1 }, func(b *scripted) []any { return all(b.peers) }},
	{"peers --usage", func(b *scripted) int { return len(b.usage) + 1 }, func(b *scripted) []any { return all(b.usage) }},
	{"closest k", func(b *scripted) int { return len(b.found) }, func(b *scripted) []any { return all(b.found) }},
	{"find-providers k", func(b *scripted) int { return len(b.found) }, func(b *scripted) []any { return all(b.found) }},
	{"find-peer " + somePeer, func(b *scripted) int { return len(b.found[0].Addrs) }, func(b *scripted) []any { return []any{b.found[0]} }},
	{"ping --count 1 " + somePeer, func(*scripted) int { return 1 }, func(b *scripted) []any { return []any{b.pong} }},
	{"explain closest k", nil, func(b *scripted) []any { return []any{b.trace} }},
	{"explain list", func(b *scripted) int { return len(b.traces) + 1 }, func(b *scripted) []any { return all(b.traces) }},
	{"republish status", nil, func(b *scripted) []any { return []any{b.republish} }},
	{"provides", func(b *scripted) int { return min(len(b.published), 1) + len(b.published) }, nil},
	{"log level", func(b *scripted) int { return len(b.levels) + 1 }, nil},
	{"put k v", func(*scripted) int { return 1 }, nil},
	{"table --report", nil, nil},
}

func all[T any](items []T) (out []any) {
	for _, item := range items {
		out = append(out, item)
	}
	return out
}

// For any answer of a daemon, the output has no control characters and no extra lines,
// and --json prints the answer unchanged.
func TestHostileAnswers(t *testing.T) {
	b := &scripted{}
	s := shellOf(t, b)
	rapid.Check(t, func(t *rapid.T) {
		drawAnswers(t, b)
		for _, c := range shows {
			_, stdout, stderr := s.run(c.line)
			require.False(t, strings.ContainsFunc(stdout+stderr, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }), "%s: %q", c.line, stdout)
			if c.lines != nil {
				require.Equal(t, c.lines(b), strings.Count(stdout, "\n"), "%s: %s", c.line, stdout)
			}
			if c.objects == nil {
				continue
			}
			_, stdout, _ = s.run(c.line, "--json")
			requireObjects(t, c.objects(b), stdout)
		}
	})
}

// requireObjects fails unless each line is the object that the daemon sent.
func requireObjects(t *rapid.T, told []any, text string) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if text == "" {
		lines = nil
	}
	require.Len(t, lines, len(told), text)
	for i := range told {
		want, err := json.Marshal(told[i])
		require.NoError(t, err)
		require.Equal(t, exact(t, want), exact(t, []byte(lines[i])))
	}
}

// exact decodes a JSON object and keeps its numbers as text.
func exact(t *rapid.T, text []byte) (object map[string]any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	require.NoError(t, d.Decode(&object), "%s", text)
	return object
}

// For any answer of a daemon and any width of the terminal, no line is wider than the
// terminal.
func TestHostileAnswersFit(t *testing.T) {
	b := &scripted{}
	socket := shellOf(t, b).socket
	folded := []string{"status", "table", "table --report", "peers", "peers --usage", "closest k", "find-providers k", "explain closest k", "explain list", "republish status", "provides", "log level"}
	rapid.Check(t, func(rt *rapid.T) {
		drawAnswers(rt, b)
		width := rapid.IntRange(60, 200).Draw(rt, "width")
		command := rapid.SampledFrom(folded).Draw(rt, "command")
		text := terminal(t, width, func(tty *os.File) {
			a := &app{in: strings.NewReader(""), out: tty, errs: &bytes.Buffer{}, getenv: func(string) string { return "" }}
			a.run(t.Context(), append(strings.Fields(command), "--api", socket))
		})
		for line := range strings.SplitSeq(text, "\n") {
			require.LessOrEqual(rt, ansi.StringWidth(line), width, "%s: %q", command, line)
		}
	})
}

// For any overview, the lines of top fit the width and have no control characters.
func TestTopOfHostileAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var before, now api.Overview
		draw(t, &before)
		draw(t, &now)
		for i := range now.Buckets {
			now.Buckets[i].Verified = min(now.Buckets[i].Verified, now.Buckets[i].Peers)
		}
		width := rapid.IntRange(1, 200).Draw(t, "width")
		for _, last := range []*api.Overview{nil, &before} {
			for _, line := range topLines(&now, last, width, style{}) {
				require.LessOrEqual(t, ansi.StringWidth(line), width)
				require.False(t, strings.ContainsFunc(line, unicode.IsControl), "%q", line)
			}
		}
	})
}
