package daemon

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJournalIsToldPriorities(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		l, err := newLogs(&out, true, format, "debug")
		require.NoError(t, err)
		log := l.Logger("node").With("a", 1)
		log.Debug("d\n<0>forged")
		log.Info("i")
		log.Warn("w")
		log.Error("e")
		var have []string
		for line := range strings.Lines(out.String()) {
			have = append(have, line[:3])
		}
		require.Equal(t, []string{"<7>", "<6>", "<4>", "<3>"}, have)
	}
}

func TestJournalLinesStayWhole(t *testing.T) {
	var out bytes.Buffer // guarded by the journal's lock
	l, err := newLogs(&out, true, "json", "info")
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				l.Logger("node").Info("i")
				l.Logger("rpc").Error("e")
			}
		})
	}
	all.Wait()
	for line := range strings.Lines(out.String()) {
		require.True(t, strings.HasPrefix(line, "<6>{") == strings.Contains(line, `"INFO"`), line)
		require.True(t, strings.HasSuffix(line, "}\n"), line)
	}
}
