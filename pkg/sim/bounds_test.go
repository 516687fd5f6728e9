package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Only the first maxViolations broken invariants are kept.
func TestMaxViolations(t *testing.T) {
	w, n := &World{}, &node{}
	for i := range maxViolations + 1 {
		w.violated(n, "broken %d", i)
	}
	require.Len(t, w.Violations(), maxViolations)
	require.Contains(t, w.Violations()[maxViolations-1], fmt.Sprintf("broken %d", maxViolations-1))
}

// A line of maxDots points has a dot at each point; a longer line has none.
func TestMaxDots(t *testing.T) {
	for points, dots := range map[int]int{maxDots: maxDots, maxDots + 1: 0} {
		p := plot{lines: []line{{xs: make([]float64, points), ys: make([]float64, points)}}}
		for i := range points {
			p.lines[0].xs[i], p.lines[0].ys[i] = float64(i), 1
		}
		require.Equal(t, dots, strings.Count(p.svg(), "<circle"))
	}
}
