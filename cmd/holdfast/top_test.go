package main

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/disktest"
)

// twoOverviews are two overviews, ten seconds apart.
func twoOverviews() (before, now *api.Overview) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	make := func(taken time.Time, in, out, done uint64) *api.Overview {
		o := &api.Overview{Taken: taken, Ring: []api.Sector{{Keys: 3, Left: 1}, {Keys: 3, Left: .4}, {Keys: 1, Left: 0}, {}, {Keys: 2, Overdue: 1}}}
		o.Status = api.Status{
			State: "ready", PeerID: "12D3KooWme", Serving: true, Reachability: "public", UptimeSeconds: 3700,
			TablePeers: 27, VerifiedPeers: 24, ConnectedPeers: 400, NetworkSize: 9812.4, ProviderRecords: 1234567, ValueRecords: 12, DBBytes: 3 << 30,
		}
		o.Identity.Protocol = "/ipfs/kad/1.0.0"
		o.Buckets = []api.Bucket{{CPL: 0, Peers: 20, Verified: 20, Room: 20}, {CPL: 1, Peers: 7, Verified: 4, Room: 20}}
		o.Republish = api.RepublishStatus{Keys: 9, Active: 2, OverdueKeys: 1, CycleSeconds: 79200, NextDue: taken.Add(time.Hour), LastSuccess: taken.Add(-time.Minute)}
		o.Traffic = api.Traffic{
			In: map[string]uint64{"FIND_NODE": in, "ADD_PROVIDER": 7 * in}, Out: map[string]uint64{"FIND_NODE": out},
			Rejected: 3, OutFailed: 5, Received: in * 100, Sent: in * 1000,
			Lookups: map[string]api.LookupCount{"find_value": {Running: 2, Done: done, Failed: done - 1, TookMs: 350 * done}},
		}
		return o
	}
	return make(at, 1000, 50, 4), make(at.Add(10*time.Second), 2500, 53, 9)
}

// Without a terminal, top requests an overview at the start and after each interval, and
// prints all but the first. It fails if the output cannot be written.
func TestTopAsks(t *testing.T) {
	for _, c := range []struct {
		count   int
		json    bool
		printed int
	}{{0, false, 1}, {1, false, 1}, {2, false, 2}, {0, true, 1}, {2, true, 2}} {
		synctest.Test(t, func(t *testing.T) {
			b := content()
			var out bytes.Buffer
			command := &topCommand{app: &app{out: &out, json: c.json}, interval: time.Hour, count: c.count}
			begun := time.Now()
			require.NoError(t, (&top{topCommand: command, backend: b}).print(t.Context()))
			require.Equal(t, time.Duration(c.printed)*time.Hour, time.Since(begun))
			require.Equal(t, "Overview"+strings.Repeat("; Overview", c.printed), b.questions())
			if c.json {
				require.Len(t, requireJSONLines(t, out.String()), c.printed)
			} else {
				require.Equal(t, c.printed, strings.Count(out.String(), "ROUTING TABLE"), out.String())
			}
			command.out = &disktest.Full{Space: 1}
			require.ErrorIs(t, (&top{topCommand: command, backend: b}).print(t.Context()), syscall.ENOSPC)
		})
	}
}

func TestTop(t *testing.T) {
	before, now := twoOverviews()
	file := "testdata/top.txt"
	have := topText(now, before, 130) + "\n\n====\n" + topText(now, nil, 80) + "\n"
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(have), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), have, "UPDATE=1 go test -run TestTop writes it")
}

// No line is longer than any terminal is wide, and every colour ends on the line where it
// starts.
func TestTopFits(t *testing.T) {
	before, now := twoOverviews()
	for width := 1; width < 200; width++ {
		for _, line := range topLines(now, before, width, style{on: true}) {
			require.LessOrEqual(t, ansi.StringWidth(line), width)
			require.Zero(t, strings.Count(line, "\x1b")%2, "%q", line)
			require.Equal(t, strings.Count(line, "\x1b")/2, strings.Count(line, "\x1b[0m"), "%q", line)
		}
	}
}

// top and status show each cause once, and highlight it.
func TestCausesAreShownOnce(t *testing.T) {
	before, now := twoOverviews()
	now.Status.State, now.Status.IsolatedSince, now.Status.DiskFullSince = "isolated", time.Now().Add(-90*time.Second), time.Now()
	isolated := api.Cause{Level: "critical", Word: "ISOLATED", Why: "no peer has answered for 90 s", Since: now.Status.IsolatedSince, Runbook: "https://example.com/isolated"}
	full := api.Cause{Level: "critical", Word: "DISK FULL", Why: "0 B free", Since: now.Status.DiskFullSince}
	now.Verdict = api.Verdict{Cause: isolated, Causes: []api.Cause{isolated, full}}
	now.Status.Verdict = now.Verdict

	text := topText(now, before, 100)
	require.Regexp(t, `(?m)^isolated, serving `, text)
	require.Regexp(t, `(?m)^ISOLATED since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: no peer has answered for 90 s$`, text)
	require.Contains(t, topLines(now, before, 100, style{on: true})[1], "\x1b[31misolated")
	require.Equal(t, 1, strings.Count(text, "ISOLATED"), text)
	require.Equal(t, 1, strings.Count(text, "FULL"), text)

	var out bytes.Buffer
	a := &app{out: &out}
	require.NoError(t, (&statusCommand{app: a}).print(&now.Status))
	require.Regexp(t, `\AVerdict: +ISOLATED since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: no peer has answered for 90 s\nWhat to do: +https://example.com/isolated\nAlso: +DISK FULL since \S+ \S+: 0 B free\nState: +isolated\n`, out.String())
	require.Equal(t, 1, strings.Count(out.String(), "ISOLATED"), out.String())
	require.Equal(t, 1, strings.Count(out.String(), "FULL"), out.String())
}

// A node that no peer answers does not know the size of its network.
func TestNetworkSizeWithoutPeers(t *testing.T) {
	require.Equal(t, "about 1 peer", networkSizeText(&api.Status{NetworkSize: 1, VerifiedPeers: 1}))
	require.Equal(t, "unknown", networkSizeText(&api.Status{NetworkSize: 1}))
}

// top has a line for each problem, and none for what is no problem.
func TestTopShowsProblems(t *testing.T) {
	before, now := twoOverviews()
	now.Verdict.Causes = []api.Cause{
		{Level: "critical", Word: "OVERLOADED", Why: "90 requests refused"},
		{Level: "warning", Word: "Few peers", Why: "only 2\x1b answer"},
		{Level: "starting", Word: "Starting", Why: "joining"},
	}
	text := topText(now, before, 100)
	require.Regexp(t, `(?m)^OVERLOADED: 90 requests refused$`, text)
	require.Regexp(t, `(?m)^Few peers: only 2\S+ answer$`, text)
	require.NotContains(t, text, "Starting")
	require.Contains(t, topLines(now, before, 100, style{on: true}), "\x1b[31mOVERLOADED\x1b[0m: 90 requests refused")
}

func TestTopAfterRestart(t *testing.T) {
	before, now := twoOverviews()
	text := topText(before, now, 100) // counters fell, the clock went back
	require.Regexp(t, `FIND_NODE +- +1,000 +- +50`, text)
	require.Contains(t, topText(&api.Overview{}, nil, 100), "empty")
}
