package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/sim"
)

// A sweep in which a run broke an invariant fails, after its report, as a single run does.
func TestSweepWithABrokenInvariantFails(t *testing.T) {
	for _, tt := range []struct {
		runs []sim.Report
		want string
	}{
		{[]sim.Report{{}, {}}, ""},
		{[]sim.Report{{}, {Violations: []string{"a"}}}, "1 invariant was broken, see the report"},
		{[]sim.Report{{Violations: []string{"a"}}, {Violations: []string{"b", "c"}}}, "3 invariants were broken, see the report"},
	} {
		var out bytes.Buffer
		s := &simRunCommand{app: &app{out: &out}}
		err := s.endSweep(&sim.Sweep{Option: "alpha", Values: []string{"1", "3"}, Runs: tt.runs})
		require.NotEmpty(t, out.String())
		if tt.want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, tt.want)
		require.Contains(t, out.String(), "VIOLATED with alpha=3: "+tt.runs[1].Violations[0])
	}
}
