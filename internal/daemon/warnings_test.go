package daemon

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Messages from WARN are kept, each once with its count, newest first, whatever the limit on
// repetition does; at most keptWarnings of them.
func TestWarnings(t *testing.T) {
	l, err := newLogs(io.Discard, false, "text", "debug")
	require.NoError(t, err)
	require.Empty(t, l.warned.last())
	log := l.Logger("node").With("a", 1)
	log.Info("not kept")
	for range 3 * repeatBurst {
		log.Warn("first", "err", fmt.Errorf("x: %w", errors.New("y")))
	}
	l.Logger("rpc").Error("second")
	got := l.warned.last()
	require.Len(t, got, 2)
	require.Equal(t, "second", got[0].Text)
	require.Equal(t, "ERROR", got[0].Level)
	require.Equal(t, "rpc", got[0].Subsystem)
	require.Equal(t, "first a=1 err=x: y", got[1].Text)
	require.Equal(t, "WARN", got[1].Level)
	require.Equal(t, 3*repeatBurst, got[1].Count)
	require.False(t, got[1].Time.IsZero())
	log.Warn("first")
	require.Equal(t, "first a=1", l.warned.last()[0].Text, "the newest")
	for i := range keptWarnings - 2 {
		log.Warn(fmt.Sprint(i))
	}
	require.Len(t, l.warned.last(), keptWarnings)
	require.Equal(t, "second", l.warned.last()[keptWarnings-1].Text)
	log.Warn("one more")
	require.Len(t, l.warned.last(), keptWarnings)
	require.Equal(t, "first a=1", l.warned.last()[keptWarnings-1].Text)
}

// Text from peers is escaped and bounded.
func TestWarningsAreOneLineOfBoundedText(t *testing.T) {
	l, err := newLogs(io.Discard, false, "text", "debug")
	require.NoError(t, err)
	l.Logger("node").Warn("bad\npeer", "agent", "\x1b[31m\u202e", "x", 1)
	require.Equal(t, `bad\npeer agent=\x1b[31m\u202e x=1`, l.warned.last()[0].Text)
	for _, n := range []int{maxWarningText - len("m x="), maxWarningText, 1 << 20} {
		l.Logger("node").Warn("m", "x", strings.Repeat("é", n/2))
		text := l.warned.last()[0].Text
		require.LessOrEqual(t, len(text), maxWarningText)
		require.Equal(t, n != maxWarningText-len("m x="), strings.HasSuffix(text, "..."))
	}
}
