package sim

import (
	"bytes"
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden reports in testdata")

// goldens are the shipped scenarios at a size that an ordinary test can afford; the
// scenarios themselves are larger. Under the race detector only the small ones run.
var goldens = []struct {
	scenario, options string
	small             bool
}{
	{scenario: "steady", options: "nodes=2000 hours=0.02 warmup=1m"},
	{scenario: "restart", options: "nodes=100 hours=0.4 warmup=1m", small: true},
	{scenario: "partition", options: "nodes=100 hours=1.2 warmup=1m"},
	{scenario: "liars", options: "nodes=200 hours=0.4 warmup=1m"},
	{scenario: "sybils", options: "nodes=100 hours=0.4 warmup=1m"},
	{scenario: "hot", options: "nodes=200 hours=0.3 warmup=1m"},
	{scenario: "crowd", options: "nodes=200 hours=0.25"},
	{scenario: "dead", options: "nodes=300 hours=0.3 warmup=1m"},
	{scenario: "forget", options: "nodes=60 hours=12 liveness=3h refresh=3h"},
	{scenario: "renew", options: "nodes=60 hours=24 liveness=3h refresh=3h"},
	{scenario: "weibull", options: "nodes=60 hours=23 liveness=3h refresh=3h"},
	{scenario: "cycle", options: "nodes=300 hours=0.03 warmup=1m"},
}

// prepare returns a world of a shipped scenario with its invariants checked.
func prepare(t *testing.T, scenario, options string) *World {
	t.Helper()
	return prepareWith(t, scenario, "check=true "+options)
}

func prepareWith(t *testing.T, scenario, options string) *World {
	t.Helper()
	s, err := ShippedScenario(scenario)
	require.NoError(t, err)
	o := DefaultOptions()
	require.NoError(t, s.Apply(&o))
	for _, x := range strings.Fields(options) {
		name, value, _ := strings.Cut(x, "=")
		require.NoError(t, o.Set(name, value))
	}
	return New(o, s)
}

func TestGoldenReports(t *testing.T) {
	covered := map[string]bool{}
	for _, g := range goldens {
		covered[g.scenario] = true
		t.Run(g.scenario, func(t *testing.T) {
			t.Parallel()
			if raceDetector && !g.small {
				t.Skip("too slow under the race detector")
			}
			w := prepare(t, g.scenario, g.options)
			require.NoError(t, w.Run(nil))
			require.Empty(t, w.Violations())
			var out bytes.Buffer
			r := w.Report()
			require.NoError(t, r.Print(&out))
			golden(t, g.scenario, out.String())
			requireConsistent(t, r)
			require.NotNil(t, promises[g.scenario], "%s has no promises", g.scenario)
			promises[g.scenario](t, r)
		})
	}
	for _, name := range Scenarios() {
		require.True(t, covered[name], "%s has no golden report", name)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file(t, name+".txt", got)
}

const small = "nodes=60 hours=0.05 warmup=1m churn=weibull loss=0.01 clients=0.1"

// With checks on, the run is the same, although the world leaves out peers that nothing
// reads. See World.unnamed.
func TestCheckChangesNothing(t *testing.T) {
	w := prepare(t, "steady", small)
	require.NoError(t, w.Run(nil))
	o := w.opts
	o.Check = false
	unchecked := New(o, w.scenario)
	require.NoError(t, unchecked.Run(nil))
	want, got := w.Report(), unchecked.Report()
	want.Options, want.Settings = got.Options, got.Settings
	require.Equal(t, want, got)
}

func TestSameSeedSameTrace(t *testing.T) {
	var first, second, other bytes.Buffer
	for _, run := range []struct {
		out  *bytes.Buffer
		seed string
	}{{&first, ""}, {&second, ""}, {&other, " seed=2"}} {
		w := prepare(t, "steady", small+run.seed)
		w.TraceTo(run.out)
		require.NoError(t, w.Run(nil))
		require.NoError(t, w.FinishTrace())
		require.Empty(t, w.Violations())
	}
	require.NotZero(t, first.Len())
	require.True(t, bytes.Equal(first.Bytes(), second.Bytes()), "the same seed gives other bytes")
	require.False(t, bytes.Equal(first.Bytes(), other.Bytes()), "another seed gives the same bytes")
}

func TestReplay(t *testing.T) {
	var trace bytes.Buffer
	w := prepare(t, "steady", small)
	w.TraceTo(&trace)
	require.NoError(t, w.Run(nil))
	require.NoError(t, w.FinishTrace())

	replay := func(was []byte) error {
		w := prepare(t, "steady", small)
		w.CompareTo(bytes.NewReader(was))
		require.NoError(t, w.Run(nil))
		return w.FinishTrace()
	}
	require.NoError(t, replay(trace.Bytes()))
	require.ErrorIs(t, replay(append(bytes.Clone(trace.Bytes()), "more\n"...)), ErrDiffers)
	require.ErrorIs(t, replay(trace.Bytes()[:trace.Len()/2]), ErrDiffers)
	changed := bytes.Clone(trace.Bytes())
	changed[trace.Len()/2] ^= 1
	require.ErrorIs(t, replay(changed), ErrDiffers)
}

func TestRunStops(t *testing.T) {
	stop := errors.New("stop")
	w := prepare(t, "steady", small)
	err := w.Run(func(now time.Duration) error {
		if now >= time.Minute {
			return stop
		}
		return nil
	})
	require.ErrorIs(t, err, stop)
	require.Equal(t, time.Minute, w.Now())
}

func TestSnapshotSparesTheBootstrapNodes(t *testing.T) {
	if raceDetector {
		t.Skip("too slow under the race detector")
	}
	restored := func(options string) *Phase {
		w := prepare(t, "restart", "nodes=100 hours=0.4 warmup=1m "+options)
		require.NoError(t, w.Run(nil))
		require.Empty(t, w.Violations())
		for _, p := range w.Report().Phases {
			if p.Name == "back" {
				return &p
			}
		}
		return nil
	}
	with, without := restored(""), restored("snapshot=false")
	require.NotNil(t, with.Restored)
	require.Nil(t, without.Restored)
	require.NotNil(t, without.Joined)
}
