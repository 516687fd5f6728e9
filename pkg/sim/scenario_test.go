package sim

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseScenario(t *testing.T) {
	s, err := ParseScenario("x", `
title Two words   # a comment
nodes 50
every 10s from 1m until 2m lookup 3
at 5m restart 0.5 30s
`)
	require.NoError(t, err)
	require.Equal(t, "x", s.Name)
	require.Equal(t, "Two words", s.Title)
	require.Equal(t, Step{At: time.Minute, Every: 10 * time.Second, Until: 2 * time.Minute, Text: "lookup 3"}, bare(s.Steps[0]))
	require.Equal(t, Step{At: 5 * time.Minute, Text: "restart 0.5 30s"}, bare(s.Steps[1]))
	o := DefaultOptions()
	require.NoError(t, s.Apply(&o))
	require.Equal(t, 50, o.Nodes)
}

func bare(s Step) Step {
	s.act = nil
	return s
}

func TestAScenarioWithoutATitleHasItsName(t *testing.T) {
	s, err := ParseScenario("mine", "# nothing\n\n   \n\t# at all")
	require.NoError(t, err)
	require.Equal(t, &Scenario{Name: "mine", Title: "mine"}, s)
	w := New(Options{Nodes: 2, Bootstrap: 1, Duration: time.Second, Latency: LatencyLogNormal, Churn: ChurnNone}, nil)
	require.Empty(t, w.Report().Title, "no scenario, no title")
}

// An error names the line and what to write instead.
func TestBadScenarios(t *testing.T) {
	const timeWanted = "want a time such as 90s or 22h, at most a year"
	for text, want := range map[string]string{
		"nodes":                                `want an option and its value, at, every or title, not "nodes"`,
		"nodes 5 6":                            `want an option and its value, at, every or title, not "nodes 5 6"`,
		"nodes x":                              `bad option: nodes "x": want a number from 2 to 1048576`,
		"nope 1":                               `bad option: there is no "nope"`,
		"at":                                   `there is no action "at"`,
		"at 1m":                                "an action is missing",
		"at 1m from 2m":                        "an action is missing",
		"at x lookup":                          `at "x": ` + timeWanted,
		"at -1s lookup":                        `at "-1s": ` + timeWanted,
		"at 9000h lookup":                      `at "9000h": ` + timeWanted,
		"every 1s from lookup":                 `from "lookup": ` + timeWanted,
		"every 0s lookup":                      "every 0s never ends",
		"every 1s from 5m until 2m lookup":     "until 2m is before from 5m",
		"at 1m dance":                          `there is no action "dance"`,
		"at 1m lookup x":                       `lookup: want a number, not "x"`,
		"at 1m lookup 0":                       `lookup: want a number, not "0"`,
		"at 1m lookup 1 2":                     `lookup: unexpected words "2"`,
		"at 1m kill":                           "kill: a share is missing",
		"at 1m kill 2":                         `kill: want a share above 0, at most 1, not "2"`,
		"at 1m kill NaN":                       `kill: want a share above 0, at most 1, not "NaN"`,
		"at 1m kill 0":                         `kill: want a share above 0, at most 1, not "0"`,
		"at 1m kill 0.5 0.5":                   `kill: unexpected words "0.5"`,
		"at 1m restart 0.5 x":                  "restart: " + timeWanted + `, not "x"`,
		"at 1m restart x y":                    `restart: want a share above 0, at most 1, not "x"` + "\n" + timeWanted + `, not "y"`,
		"at 1m restart 0.5 1m again and again": `restart: unexpected words "again and again"`,
		"at 1m phase":                          "phase: want a name",
		"at 1m phase two words":                `phase: unexpected words "words"`,
		"at 1m heal 0.5":                       `heal: unexpected words "0.5"`,
		"at 1m sybils x":                       `sybils: want a number, not "x"`,
		"at 1m sybils 5 x":                     `sybils: want a number, not "x"`,
		"at 1m sybils 5 5 5":                   `sybils: unexpected words "5"`,
		"at 1m publish-all -1":                 `publish-all: want a number, not "-1"`,
	} {
		_, err := ParseScenario("file", "# first line\n"+text+"\nat 1m lookup")
		require.ErrorIs(t, err, ErrScenario, text)
		require.EqualError(t, err, "bad scenario: file:2: "+want, text)
	}
	_, err := ShippedScenario("nope")
	require.ErrorIs(t, err, ErrScenario)
	require.ErrorContains(t, err, "steady")
	_, err = ShippedScenario("../sim")
	require.ErrorIs(t, err, ErrScenario)
}

// Any text is either a scenario or gives an error that names one of its lines.
func TestAnyTextIsParsed(t *testing.T) {
	word := rapid.OneOf(
		rapid.SampledFrom([]string{"at", "every", "from", "until", "title", "nodes", "kill", "lookup", "phase", "1m", "0", "0.5", "-1", "#", "\n", "\r", "\x00", "é"}),
		rapid.String(),
	)
	line := regexp.MustCompile(`(?s)^bad scenario: file:(\d+): .`)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(word, 0, 30).Draw(t, "words"), " ")
		s, err := ParseScenario("file", text)
		if err == nil {
			require.NotNil(t, s)
			return
		}
		require.ErrorIs(t, err, ErrScenario)
		m := line.FindStringSubmatch(err.Error())
		require.NotNil(t, m, err)
		require.LessOrEqual(t, len(m[1]), len(fmt.Sprint(1+strings.Count(text, "\n"))))
	})
}

// A scenario written from steps, with any blanks and comments, parses to the same steps.
func TestScenariosAreReadAsWritten(t *testing.T) {
	acts := []string{
		"lookup", "lookup 3", "seek 2", "provide", "put 7", "publish 5", "publish-values", "publish-all 10", "find", "find-hot 9",
		"kill 0.25", "restart 1", "restart 0.5 30s", "partition 0.01", "heal", "lie 0.2", "sybils", "sybils 5 2", "phase later",
	}
	times := rapid.Map(rapid.IntRange(0, 100_000), func(n int) time.Duration { return time.Duration(n) * time.Second })
	blank := rapid.SampledFrom([]string{" ", "  ", "\t", " \t "})
	rapid.Check(t, func(t *rapid.T) {
		var want []Step
		var text strings.Builder
		for range rapid.IntRange(0, 8).Draw(t, "steps") {
			s := Step{At: times.Draw(t, "at"), Text: rapid.SampledFrom(acts).Draw(t, "act")}
			s.phase = s.Text == "phase later"
			words := []string{"at", s.At.String()}
			if rapid.Bool().Draw(t, "every") {
				s.Every = 1 + times.Draw(t, "every")
				words = []string{"every", s.Every.String(), "from", s.At.String()}
				if rapid.Bool().Draw(t, "until") {
					s.Until = s.At + 1 + times.Draw(t, "until")
					words = append(words, "until", s.Until.String())
				}
			}
			words = append(words, strings.Fields(s.Text)...)
			text.WriteString(strings.Join(words, blank.Draw(t, "blank")))
			text.WriteString(rapid.SampledFrom([]string{"", " # at 1m kill 1", "#", "\r"}).Draw(t, "behind") + "\n")
			want = append(want, s)
		}
		s, err := ParseScenario("x", text.String())
		require.NoError(t, err, text.String())
		var got []Step
		for _, step := range s.Steps {
			require.NotNil(t, step.act)
			got = append(got, bare(step))
		}
		require.Equal(t, want, got)
	})
}

// Every shipped scenario parses, ends within its run and is documented.
func TestShippedScenarios(t *testing.T) {
	doc, err := os.ReadFile("../../docs/SIMULATOR.md")
	require.NoError(t, err)
	names := Scenarios()
	require.True(t, slices.IsSorted(names))
	require.Contains(t, names, "steady", "what `holdfast sim run` runs")
	titles := map[string]bool{}
	for _, name := range names {
		s, err := ShippedScenario(name)
		require.NoError(t, err)
		require.Contains(t, string(doc), "| `"+name+"` |")
		require.NotEqual(t, name, s.Title, "%s has no title", name)
		require.False(t, titles[s.Title])
		titles[s.Title] = true
		o := DefaultOptions()
		require.NoError(t, s.Apply(&o))
		phases := map[string]bool{"main": true}
		for _, step := range s.Steps {
			require.Less(t, step.At, o.Duration, "%s: %s", name, step.Text)
			require.LessOrEqual(t, step.Until, o.Duration, "%s: %s", name, step.Text)
			if phase, ok := strings.CutPrefix(step.Text, "phase "); ok {
				require.False(t, phases[phase], "%s has two phases %s", name, phase)
				phases[phase] = true
			}
		}
	}
	for action := range actions {
		require.Contains(t, string(doc), "`"+action, "an action that is not documented")
	}
}

// A step runs at each of its times within the run, found by counting, and at no other
// time.
func TestStepsAreTakenAtTheirTimes(t *testing.T) {
	times := rapid.Map(rapid.IntRange(0, 40), func(n int) time.Duration { return time.Duration(n) * time.Second })
	rapid.Check(t, func(t *rapid.T) {
		o := DefaultOptions()
		o.Nodes, o.Bootstrap = 2, 1
		o.Warmup, o.Duration = times.Draw(t, "warmup"), 1+times.Draw(t, "duration")
		s := Step{At: times.Draw(t, "at"), Every: times.Draw(t, "every")}
		if rapid.Bool().Draw(t, "until") {
			s.Until = s.At + times.Draw(t, "until")
		}
		var got, want []time.Duration
		s.act = func(w *World) { got = append(got, w.now-o.Warmup) }
		require.NoError(t, New(o, &Scenario{Steps: []Step{s}}).Run(nil))

		for at := s.At; at <= o.Duration && (at == s.At || s.Until == 0 || at <= s.Until); at += s.Every {
			if at == s.At && at == o.Duration {
				break // it would begin after the end
			}
			want = append(want, at)
			if s.Every == 0 {
				break
			}
		}
		require.Equal(t, want, got)
	})
}
