package sim

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/dht"
)

func TestEveryOptionHasADefaultAndHelp(t *testing.T) {
	o := DefaultOptions()
	require.Empty(t, o.String())
	names := map[string]bool{}
	for i := range settings {
		s := &settings[i]
		require.False(t, names[s.Name], "%s is there twice", s.Name)
		names[s.Name] = true
		require.NotEmpty(t, s.Help, s.Name)
		require.Equal(t, s.Default, s.get(&o), s.Name)
	}
}

// Every field has an option: setting every option to something other than its default
// changes every field.
func TestEveryFieldHasAnOption(t *testing.T) {
	o, defaults := DefaultOptions(), DefaultOptions()
	for name, value := range map[string]string{
		"nodes": "5", "hours": "2", "warmup": "1m", "seed": "2", "start": StartJoin, "join-within": "1m",
		"bootstrap": "2", "churn": ChurnWeibull, "clients": "0.1", "dead": "0.1", "latency": LatencyRegions,
		"loss": "0.1", "check": "true", "k": "8", "alpha": "2", "max-alpha": "5", "refresh-alpha": "2",
		"beta": "5", "store-beta": "5", "search-beta": "5", "soft-timeout": "2s", "refresh": "1h",
		"liveness": "2h", "replacements": "5", "republish": "12h", "ttl": "24h", "snapshot": "false",
	} {
		require.NoError(t, o.Set(name, value))
	}
	changed(t, reflect.ValueOf(defaults), reflect.ValueOf(o), "Options")
}

func changed(t *testing.T, was, is reflect.Value, name string) {
	for i := range was.NumField() {
		field := name + "." + was.Type().Field(i).Name
		if was.Field(i).Kind() == reflect.Struct {
			changed(t, was.Field(i), is.Field(i), field)
			continue
		}
		require.NotEqual(t, was.Field(i).Interface(), is.Field(i).Interface(), field)
	}
}

// The protocol defaults are the defaults of the node.
func TestDefaultsShip(t *testing.T) {
	p := DefaultOptions().Protocol
	require.Equal(t, dht.Alpha, p.Alpha)
	require.Equal(t, dht.MaxAlpha, p.MaxAlpha)
	require.Equal(t, dht.RefreshAlpha, p.RefreshAlpha)
	require.Equal(t, dht.Beta, p.Beta)
	require.Equal(t, dht.SoftTimeout, p.SoftTimeout)
	require.Equal(t, dht.RefreshInterval, p.Refresh)
	require.Equal(t, dht.LivenessInterval, p.Liveness)
	require.Equal(t, 20, p.K)
	require.Equal(t, p.K, p.StoreBeta)
	require.Equal(t, p.K, p.SearchBeta)
	require.Less(t, p.Republish, p.TTL)
}

// Values that an option accepts and values that it rejects, at the edges of its range. A
// rejected value changes nothing.
func TestOptionsTakeTheirRangeOnly(t *testing.T) {
	number := func(low, high int) (good, bad []string) {
		return []string{strconv.Itoa(low), strconv.Itoa(low + 1), strconv.Itoa(high)},
			[]string{strconv.Itoa(low - 1), strconv.Itoa(high + 1), "", "x", "1.5", "99999999999999999999"}
	}
	tests := map[string]struct{ good, bad []string }{
		"hours": {
			[]string{"0.0003", "1", "1e3", "8784"},
			[]string{"0", "-1", "8784.1", "0.0002", "NaN", "Inf", "-Inf", "", "1h"},
		},
		"seed": {[]string{"0", "18446744073709551615"}, []string{"-1", "18446744073709551616", "x", ""}},
	}
	for name, size := range map[string][2]int{
		"nodes": {2, 1 << 20}, "bootstrap": {1, 1000}, "k": {1, 100}, "alpha": {1, 100}, "max-alpha": {1, 100},
		"refresh-alpha": {1, 100}, "beta": {1, 100}, "store-beta": {1, 100}, "search-beta": {1, 100}, "replacements": {1, 100},
	} {
		good, bad := number(size[0], size[1])
		tests[name] = struct{ good, bad []string }{good, bad}
	}
	for _, name := range []string{"warmup", "join-within", "soft-timeout", "refresh", "liveness", "republish", "ttl"} {
		tests[name] = struct{ good, bad []string }{
			[]string{"0", "1ns", "90m", "22h", "8784h"}, []string{"-1s", "8784h1ns", "9223372036854775807ns", "1", "", "x"},
		}
	}
	for _, name := range []string{"clients", "dead", "loss"} {
		tests[name] = struct{ good, bad []string }{[]string{"0", "0.5", "0.999999"}, []string{"1", "-0.1", "NaN", "Inf", "", "x"}}
	}
	for _, name := range []string{"check", "snapshot"} {
		tests[name] = struct{ good, bad []string }{[]string{"true", "false", "1", "0"}, []string{"2", "yes", ""}}
	}
	for name, choices := range map[string][]string{
		"start": {StartWarm, StartJoin}, "churn": {ChurnNone, ChurnWeibull, ChurnMixture}, "latency": {LatencyLogNormal, LatencyRegions},
	} {
		tests[name] = struct{ good, bad []string }{choices, []string{"", "x", strings.ToUpper(choices[0])}}
	}
	for _, s := range settings {
		tt, ok := tests[s.Name]
		require.True(t, ok, "%s has no test", s.Name)
		require.Regexp(t, "`[^`]+`", s.Help, "the help of --%s says what its value is", s.Name)
		for _, v := range tt.good {
			o := DefaultOptions()
			require.NoError(t, o.Set(s.Name, v), "%s %s", s.Name, v)
		}
		for _, v := range tt.bad {
			o := DefaultOptions()
			err := o.Set(s.Name, v)
			require.ErrorIs(t, err, ErrOption, "%s %q", s.Name, v)
			require.ErrorContains(t, err, s.Name+" "+strconv.Quote(v)+": want ", "the error says what to write")
			require.Equal(t, DefaultOptions(), o, "%s %q", s.Name, v)
		}
	}
	o := DefaultOptions()
	require.EqualError(t, o.Set("node", "5"), `bad option: there is no "node"`)
}

// drawOptions draws values for some of the options.
func drawOptions(t *rapid.T) Options {
	o := DefaultOptions()
	for i := range settings {
		if s := &settings[i]; rapid.Bool().Draw(t, s.Name) {
			require.NoError(t, o.Set(s.Name, drawValue(t, s.Name)))
		}
	}
	return o
}

func drawValue(t *rapid.T, name string) string {
	switch name {
	case "start":
		return rapid.SampledFrom([]string{StartWarm, StartJoin}).Draw(t, "value")
	case "churn":
		return rapid.SampledFrom([]string{ChurnNone, ChurnWeibull, ChurnMixture}).Draw(t, "value")
	case "latency":
		return rapid.SampledFrom([]string{LatencyLogNormal, LatencyRegions}).Draw(t, "value")
	case "hours":
		return strconv.FormatFloat(rapid.Float64Range(0.001, 8784).Draw(t, "value"), 'g', -1, 64)
	case "clients", "dead", "loss":
		return strconv.FormatFloat(rapid.Float64Range(0, 0.999).Draw(t, "value"), 'g', -1, 64)
	case "check", "snapshot":
		return strconv.FormatBool(rapid.Bool().Draw(t, "value"))
	case "warmup", "join-within", "soft-timeout", "refresh", "liveness", "republish", "ttl":
		return time.Duration(rapid.Int64Range(0, int64(longest)).Draw(t, "value")).String()
	}
	return strconv.Itoa(rapid.IntRange(2, 100).Draw(t, "value"))
}

// The options in a report, used as flags, give the same run.
func TestOptionsAsFlagsMakeTheSameOptions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		again := DefaultOptions()
		words := strings.Fields(o.String())
		require.Zero(t, len(words)%2)
		for i := 0; i < len(words); i += 2 {
			require.NoError(t, again.Set(strings.TrimPrefix(words[i], "--"), words[i+1]))
		}
		require.Equal(t, o, again, o.String())
	})
}

func TestOptionsString(t *testing.T) {
	o := DefaultOptions()
	for _, set := range [][2]string{
		{"nodes", "5"}, {"churn", ChurnMixture}, {"liveness", "90m"}, {"loss", "0.01"}, {"hours", "1.5"},
		{"check", "true"}, {"warmup", "90s"}, {"ttl", "24h"}, {"refresh", "1h0m30s"}, {"join-within", "0"},
	} {
		require.NoError(t, o.Set(set[0], set[1]))
	}
	require.Equal(t, "--nodes 5 --hours 1.5 --warmup 1m30s --join-within 0s --churn mixture --loss 0.01 --check true "+
		"--refresh 1h0m30s --liveness 1h30m --ttl 24h", o.String())
	require.NoError(t, o.Set("hours", "1000.00028"))
	require.Equal(t, 1000*time.Hour+time.Second, o.Duration)
	require.Contains(t, o.String(), "--hours 1000.0003 ", "a second more than 1000 hours")
}

// span is the duration's String without trailing zero units, and parses to the same
// duration.
func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", time.Minute: "1m", 10 * time.Minute: "10m", 20*time.Minute + 30*time.Second: "20m30s",
		time.Hour: "1h", 22 * time.Hour: "22h", 100*time.Hour + 10*time.Minute: "100h10m", 1500 * time.Millisecond: "1.5s",
		time.Hour + 10*time.Second: "1h0m10s", 10*time.Hour + 500*time.Millisecond: "10h0m0.5s",
	} {
		require.Equal(t, want, span(d))
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "d"))
		for _, x := range []time.Duration{d, d.Round(time.Second), d.Truncate(time.Hour)} {
			got, err := time.ParseDuration(span(x))
			require.NoError(t, err)
			require.Equal(t, x, got)
		}
	})
}

// In a network with fewer nodes than bootstrap nodes, every node is one.
func TestBootstrapNodesAreAtMostAll(t *testing.T) {
	for _, start := range []string{StartWarm, StartJoin} {
		o := DefaultOptions()
		o.Nodes, o.Bootstrap, o.Start, o.Check = 2, 4, start, true
		o.Warmup, o.Duration, o.JoinWithin, o.Churn = time.Minute, 2*time.Minute, time.Minute, ChurnWeibull
		s, err := ParseScenario("x", "at 1s publish 3\nevery 10s lookup\nat 1m kill 1")
		require.NoError(t, err)
		w := New(o, s)
		require.NoError(t, w.Run(nil))
		require.Empty(t, w.Violations())
		require.Equal(t, 2, w.Report().Phases[0].Servers, start)
	}
}
