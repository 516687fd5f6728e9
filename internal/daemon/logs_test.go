package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/gologshim"
	"github.com/stretchr/testify/require"
)

func TestLogText(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"plain text, also é and 世": "plain text, also é and 世",
		"a\x1b[31mred\x1b[0m":      `a\x1b[31mred\x1b[0m`,
		"two\r\nlines\t":           `two\r\nlines\t`,
		"bidi\u202eevil":           `bidi\u202eevil`,
		"c1\u009b31m":              `c1\u009b31m`,
		"bad\xffutf8":              `bad\xffutf8`,
		"bad\x0autf8\xc3":          `bad\nutf8\xc3`,
		"mark \ufffd":              "mark \ufffd",
	} {
		if strings.Contains(in, "\ufffd") {
			require.NotContains(t, logText(in), "\x00")
			continue
		}
		require.Equal(t, want, logText(in))
	}
	longest := strings.Repeat("x", maxLogText)
	require.Equal(t, longest, logText(longest))
	require.Equal(t, longest+fmt.Sprintf("... (%d bytes)", maxLogText+1), logText(longest+"x"))
	require.Equal(t, strings.Repeat(`\x1b`, maxLogText)+fmt.Sprintf("... (%d bytes)", 10*maxLogText), logText(strings.Repeat("\x1b", 10*maxLogText)))
}

// For any text of a peer, logged in any way, the log line stays one line of printable
// text.
func TestLogsAreOneLineOfPrintableText(t *testing.T) {
	const evil = "x\x1b]0;title\a\u202e\u2028\r\n<3>forged level=error\x00\x7f\u009b"
	for _, format := range []string{"text", "json"} {
		for _, toJournal := range []bool{false, true} {
			var out bytes.Buffer
			l, err := newLogs(&out, toJournal, format, "debug")
			require.NoError(t, err)
			l.Logger("node").With("with", evil).WithGroup("g").Debug("a "+evil, "attr", evil, "err", fmt.Errorf("rpc: %w", errors.New(evil)), slog.Group("h", "inner", evil))
			text := out.String()
			require.Equal(t, 1, strings.Count(text, "\n"), text)
			require.NotContains(t, strings.TrimSuffix(text, "\n"), "\u202e")
			for _, r := range strings.TrimSuffix(text, "\n") {
				require.False(t, notForLogs(r), "%s: %q in %q", format, r, text)
			}
		}
	}
}

func TestTheJournalHasItsOwnTime(t *testing.T) {
	for _, toJournal := range []bool{false, true} {
		var out bytes.Buffer
		l, err := newLogs(&out, toJournal, "text", "info")
		require.NoError(t, err)
		l.Logger("node").Info("hello", "time", "kept")
		require.Equal(t, !toJournal, strings.Contains(out.String(), "time=2"), out.String())
	}
}

func TestRepetitionIsLimited(t *testing.T) {
	now := time.Unix(1e9, 0)
	var r repeats
	kind := repeatKind{subsystem: "node", message: "m"}
	for i := range 100 {
		ok, leftOut := r.allow(kind, now)
		require.Equal(t, i < repeatBurst, ok)
		require.Zero(t, leftOut)
	}
	ok, _ := r.allow(repeatKind{subsystem: "rpc", message: "m"}, now)
	require.True(t, ok, "another subsystem's")
	ok, leftOut := r.allow(kind, now.Add(repeatWindow))
	require.True(t, ok)
	require.Equal(t, 100-repeatBurst, leftOut)
	_, leftOut = r.allow(kind, now.Add(repeatWindow))
	require.Zero(t, leftOut)
}

func TestRepetitionIsCountedInBoundedMemory(t *testing.T) {
	now := time.Unix(1e9, 0)
	var r repeats
	for i := range 2 * repeatKinds {
		r.allow(repeatKind{message: fmt.Sprint(i)}, now)
		require.Len(t, r.seen, i%repeatKinds+1)
	}
	r.allow(repeatKind{message: "later"}, now.Add(repeatWindow))
	require.Len(t, r.seen, 1, "the windows of the others are over")
}

func TestLogsLeaveRepetitionsOut(t *testing.T) {
	var out bytes.Buffer
	l, err := newLogs(&out, false, "text", "debug")
	require.NoError(t, err)
	log := l.Logger("node")
	for i := range 50 {
		log.Warn("disk is full", "i", i)
		log.Debug("asked for", "i", i)
	}
	require.Equal(t, repeatBurst, strings.Count(out.String(), "disk is full"))
	require.Equal(t, 50, strings.Count(out.String(), "asked for"))
	// A minute later, the next one says how many were suppressed.
	h := log.Handler()
	require.NoError(t, h.Handle(t.Context(), slog.NewRecord(time.Now().Add(2*repeatWindow), slog.LevelWarn, "disk is full", 0)))
	require.Contains(t, out.String(), "left_out=40")
}

func TestRecentLines(t *testing.T) {
	at := time.Unix(1e9, 5).UTC()
	r := recent{now: func() time.Time { return at }}
	for i := range recentLines + 5 {
		_, err := fmt.Fprintf(&r, "line %d\n", i)
		require.NoError(t, err)
	}
	var out bytes.Buffer
	require.NoError(t, r.dump(&out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, recentLines)
	require.Equal(t, "2001-09-09T01:46:40.000000005Z line 5", lines[0])

	write := func(n int) {
		_, err := r.Write(make([]byte, n))
		require.NoError(t, err)
	}
	for range 100 {
		write(recentBytes / 8)
	}
	require.Equal(t, recentBytes, r.bytes)
	require.Len(t, r.lines, 8)
	write(1)
	require.Equal(t, recentBytes-recentBytes/8+1, r.bytes)
	write(recentBytes + 1)
	require.Zero(t, r.bytes)
}

// A line that a library prints with Go's package log has the form of all other lines.
func TestLinesOfPackageLog(t *testing.T) {
	flags, old := log.Flags(), log.Writer()
	t.Cleanup(func() { log.SetFlags(flags); log.SetOutput(old); gologshim.SetDefaultHandler(slog.DiscardHandler) })
	var out bytes.Buffer
	l, err := NewLogs(&out, "json", "info,libp2p=error")
	require.NoError(t, err)
	l.CaptureLibraries()
	log.Printf("failed to increase the buffer\n%d", 1)
	require.Regexp(t, `^\{"time":"[^"]+","level":"WARN","msg":"failed to increase the buffer\\\\n1","subsystem":"daemon"\}\n$`, out.String())
	require.Len(t, l.warned.last(), 1)
}
