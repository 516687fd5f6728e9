package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The numbers of a column of a page have the same number of decimals.
func TestAligned(t *testing.T) {
	rows := [][]string{
		{"lookup", "1800", "99.61 %", "1.182", "12345.6", "0.05642", "", "none", "0 %"},
		{"find", "71399", "100 %", "0.1", "0.25", "0", "20", "3", "7.128 %"},
	}
	require.Equal(t, [][]string{
		{"lookup", "1,800", "99.6 %", "1.182", "12,345.6", "0.056", "", "none", "0.00 %"},
		{"find", "71,399", "100.0 %", "0.100", "0.3", "0.000", "20", "3", "7.13 %"},
	}, aligned(rows))
	require.Equal(t, "1800", rows[0][1], "the rows of the text stay")
	require.Empty(t, aligned(nil))
}

// The page explains the operations that a run has, and has no column twice.
func TestPageExplainsItsOperations(t *testing.T) {
	require.Equal(t, []fact{{"seek", opWords[opSeek]}, {"get", opWords[opGet]}},
		operations([]Phase{{Ops: []Op{{Kind: "get"}}}, {Ops: []Op{{Kind: "seek"}, {Kind: "get"}}}}))
	for _, words := range opWords {
		require.NotEmpty(t, words)
	}
	x := worldOf(measured()).Report().Phases[0]
	v := x.view(&axis{high: 1}, false)
	for _, f := range v.Strips[0].Numbers {
		require.NotContains(t, v.Ops.Header, f.Name)
	}
	require.Equal(t, []string{"Operation", "Count", "Success", "First s", "Messages", "Hops", "First hop", "Rounds", "Recall", "Overlap", "Stored at"}, v.Ops.Header)
}
