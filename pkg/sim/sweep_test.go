package sim

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSweep(t *testing.T) {
	s, err := ParseSweep("alpha=1,5")
	require.NoError(t, err)
	scenario, err := ShippedScenario("steady")
	require.NoError(t, err)
	o := DefaultOptions()
	o.Nodes, o.Duration, o.Warmup = 60, 3*time.Minute, time.Minute
	var labels []string
	require.NoError(t, s.Run(o, scenario, func(w *World, label string) error {
		labels = append(labels, label)
		return w.Run(nil)
	}))
	require.Equal(t, []string{"alpha=1", "alpha=5"}, labels)
	require.Len(t, s.Runs, 2)
	one, five := s.Runs[0].Phases[0].Ops[0], s.Runs[1].Phases[0].Ops[0]
	require.Greater(t, one.Took.P50, five.Took.P50, "one at a time takes longer")

	require.NotEqual(t, s.Runs[0].Fingerprint, s.Runs[1].Fingerprint)
	require.NoError(t, o.Set("alpha", "5"))
	again := New(o, scenario)
	require.NoError(t, again.Run(nil))
	require.Equal(t, *again.Report(), s.Runs[1], "a run of a sweep is the run with that value")
}

func TestParseSweep(t *testing.T) {
	s, err := ParseSweep("refresh=10m,1h,22h")
	require.NoError(t, err)
	require.Equal(t, &Sweep{Option: "refresh", Values: []string{"10m", "1h", "22h"}}, s)
	for bad, want := range map[string]string{
		"":            `a sweep is NAME=VALUE,VALUE..., not ""`,
		"alpha":       `a sweep is NAME=VALUE,VALUE..., not "alpha"`,
		"alpha=1":     `a sweep is NAME=VALUE,VALUE..., not "alpha=1"`,
		"alpha=":      `a sweep is NAME=VALUE,VALUE..., not "alpha="`,
		"nope=1,2":    `there is no "nope"`,
		"alpha=1,x":   `alpha "x": want a number from 1 to 100`,
		"alpha=1,":    `alpha "": want a number from 1 to 100`,
		"loss=0,NaN":  `loss "NaN": want a share`,
		"alpha=1,2=3": `alpha "2=3": want a number`,
	} {
		_, err := ParseSweep(bad)
		require.ErrorIs(t, err, ErrOption, bad)
		require.ErrorContains(t, err, want, bad)
	}
}

// The first run that fails ends the sweep. The caller's options do not change.
func TestASweepEndsWithTheFirstError(t *testing.T) {
	stop := errors.New("stop")
	s, err := ParseSweep("nodes=10,20,30")
	require.NoError(t, err)
	o := DefaultOptions()
	err = s.Run(o, nil, func(w *World, label string) error {
		if label == "nodes=20" {
			return stop
		}
		require.Len(t, w.nodes, 10)
		return nil
	})
	require.ErrorIs(t, err, stop)
	require.Len(t, s.Runs, 1)
	require.Equal(t, DefaultOptions(), o)
}

// The text has a row for each operation of each phase of each run, and the violations of
// each run.
func TestSweepAsText(t *testing.T) {
	s := sweepOf("alpha", "1", "3")
	s.Runs[1].Violations = []string{"1m0s node 3: it broke"}
	var out strings.Builder
	require.NoError(t, s.Print(&out))
	file(t, "report/sweep.txt", out.String())
}
