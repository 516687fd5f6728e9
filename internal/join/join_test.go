package join

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata")

func TestStory(t *testing.T) {
	r := Story()
	var out strings.Builder
	require.NoError(t, r.Print(&out))
	golden(t, "testdata/join.txt", out.String())

	require.Equal(t, []string{
		"0000: - | 0011 | 0110 0101 | -",
		"0110: 0111 | 0101 | 0011 0000 | 1000",
		"0011: 0010 | 0001 0000 | 0110 | 1000 1100",
		"0101: - | 0110 | 0000 | 1001 1110",
	}, rows(r.After))
	require.Equal(t, []bool{false, true, true, false}, connected(r.Before))
	require.False(t, r.After[0].Connected)

	asked, closest := selfLookup(r.Steps)
	require.Equal(t, "0110 0011 0001 0010 0101", asked)
	require.Equal(t, "0011 0101", closest)
	require.Equal(t, "2:0100 3:1000", refreshes(r.Steps))
}

func golden(t *testing.T, file, got string) {
	if *rewrite {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func rows(ts []Table) (out []string) {
	for _, x := range ts {
		var cells []string
		for _, b := range x.Buckets {
			cell := "-"
			if len(b) > 0 {
				cell = list(b)
			}
			cells = append(cells, cell)
		}
		out = append(out, x.Node.String()+": "+strings.Join(cells, " | "))
	}
	return out
}

func connected(ts []Table) (out []bool) {
	for _, x := range ts {
		out = append(out, x.Connected)
	}
	return out
}

// selfLookup returns the peers that the first lookup asked, and those it found.
func selfLookup(steps []Step) (asked, closest string) {
	var ids []ID
	for _, s := range steps {
		switch s.Kind {
		case Dial:
			ids = append(ids, s.Peer)
		case Closest:
			return list(ids), list(s.Peers)
		}
	}
	return "", ""
}

func refreshes(steps []Step) string {
	var out []string
	for _, s := range steps {
		if s.Kind == Refresh {
			out = append(out, string(rune('0'+s.Bucket))+":"+s.Target.String())
		}
	}
	return strings.Join(out, " ")
}

func TestAllAlive(t *testing.T) {
	for seed := range uint64(300) {
		r := AllAlive(seed)
		require.Equal(t, ids, r.Full, "seed %d", seed)
		require.Equal(t, 256, r.Lookups)
		require.Equal(t, 256, r.Exact, "seed %d", seed)
	}
}

func TestAllAliveTranscript(t *testing.T) {
	r := AllAlive(1)
	var out strings.Builder
	require.NoError(t, r.Print(&out))
	golden(t, "testdata/alive.txt", out.String())
	require.Equal(t, r, AllAlive(1), "the same seed gives the same report")
}
