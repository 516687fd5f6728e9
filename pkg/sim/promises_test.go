package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// promises are the results that docs/SIMULATOR.md describes for each scenario, in numbers
// that hold at any size. TestGoldenReports checks them, so that -rewrite cannot hide a
// change.
var promises = map[string]func(t *testing.T, r *Report){
	"steady": func(t *testing.T, r *Report) {
		p := phaseOf(t, r, "main")
		for _, kind := range []string{"lookup", "provide", "put"} {
			require.GreaterOrEqual(t, opOf(t, p, kind).Success, 0.98, kind)
			require.GreaterOrEqual(t, opOf(t, p, kind).Recall, 0.98, kind)
		}
		require.Equal(t, 20.0, opOf(t, p, "provide").Stored)
		require.Equal(t, 20.0, opOf(t, p, "put").Stored)
		require.Less(t, opOf(t, p, "seek").Messages.Mean, opOf(t, p, "lookup").Messages.Mean, "three must answer, not twenty")
	},
	"restart": func(t *testing.T, r *Report) {
		p := phaseOf(t, r, "back")
		require.NotNil(t, p.Restored)
		require.Less(t, p.Restored.P50, 1.0, "snapshots bring tables back in a second")
		require.Zero(t, p.Tables.Stale)
		require.Equal(t, 1.0, p.Tables.Complete)
		require.Equal(t, 20.0, p.Records.Holders, "the records are on their disks")
		require.Nil(t, p.Joined, "no node uses the bootstrap nodes")
	},
	"partition": func(t *testing.T, r *Report) {
		require.GreaterOrEqual(t, opOf(t, phaseOf(t, r, "divided"), "lookup").Success, 0.98, "both sides work")
		require.Equal(t, 1.0, opOf(t, phaseOf(t, r, "divided"), "find").Success)
		healed := phaseOf(t, r, "healed")
		require.GreaterOrEqual(t, opOf(t, healed, "lookup").Recall, 0.98, "and are one again")
		require.Equal(t, 1.0, healed.Tables.Complete)
		require.Zero(t, healed.Records.Lost)
	},
	"liars": func(t *testing.T, r *Report) {
		before, lies := phaseOf(t, r, "main"), phaseOf(t, r, "lies")
		require.Less(t, opOf(t, lies, "lookup").Recall, opOf(t, before, "lookup").Recall-0.1, "lookups return liars")
		require.Equal(t, 1.0, opOf(t, lies, "find").Success, "and what is there is found")
	},
	"sybils": func(t *testing.T, r *Report) {
		p := phaseOf(t, r, "main")
		require.Equal(t, 1.0, opOf(t, p, "provide").Success, "it seems to be stored")
		require.Less(t, opOf(t, p, "provide").Recall, 0.1)
		require.Less(t, opOf(t, p, "find").Success, 0.5, "and is not found")
	},
	"hot": func(t *testing.T, r *Report) {
		p := phaseOf(t, r, "hot")
		require.Equal(t, 1.0, opOf(t, p, "find").Success)
		require.Greater(t, p.Load.Gini, 2*phaseOf(t, r, "after").Load.Gini, "twenty servers carry the load")
		require.Greater(t, p.Load.Max, 10*p.Load.Mean)
	},
	"crowd": func(t *testing.T, r *Report) {
		p := phaseOf(t, r, "joined")
		require.Equal(t, p.Servers, phaseOf(t, r, "main").Joined.Count, "every server has joined")
		require.GreaterOrEqual(t, opOf(t, p, "lookup").Recall, 0.97)
	},
	"dead": func(t *testing.T, r *Report) {
		first, later, last := phaseOf(t, r, "main"), phaseOf(t, r, "after-2m"), phaseOf(t, r, "after-15m")
		require.GreaterOrEqual(t, opOf(t, first, "lookup").Success, 0.98, "soft timeouts save lookups")
		require.Greater(t, first.Tables.Stale, later.Tables.Stale, "tables become clean")
		require.Greater(t, later.Tables.Stale, last.Tables.Stale)
		require.Greater(t, opOf(t, first, "lookup").Took.P50, opOf(t, last, "lookup").Took.P50)
	},
	"forget": func(t *testing.T, r *Report) {
		require.Less(t, phaseOf(t, r, "after-6h").Records.Holders, phaseOf(t, r, "main").Records.Holders, "holders leave")
		require.Zero(t, phaseOf(t, r, "after-6h").Records.Lost)
		require.Nil(t, phaseOf(t, r, "main").Republished)
	},
	"renew": func(t *testing.T, r *Report) {
		before, cycle := phaseOf(t, r, "before-the-cycle"), phaseOf(t, r, "cycle")
		require.Equal(t, 1.0, opOf(t, before, "find").Success, "just before the next cycle")
		require.Equal(t, int64(300), cycle.Republished.Keys, "each key once")
		require.Greater(t, cycle.Records.Holders, 19.0)
		for _, p := range r.Phases {
			require.Zero(t, p.Records.Lost, "nothing is lost")
		}
	},
	"weibull": func(t *testing.T, r *Report) {
		require.Less(t, phaseOf(t, r, "main").Records.Holders, 7.0, "holders leave, whichever are chosen")
		require.Greater(t, phaseOf(t, r, "before-the-cycle").Records.Holders, 15.0, "republishing does")
	},
	"cycle": func(t *testing.T, r *Report) {
		p := phaseOf(t, r, "main")
		require.GreaterOrEqual(t, p.Republished.Messages, 40.0, "a lookup and twenty stores a key")
		require.Equal(t, 20.0, p.Republished.Replicas)
		require.Equal(t, 100_000, p.Records.Contents)
	},
}

func phaseOf(t *testing.T, r *Report, name string) *Phase {
	t.Helper()
	for i := range r.Phases {
		if r.Phases[i].Name == name {
			return &r.Phases[i]
		}
	}
	require.Fail(t, "no such phase", name)
	return nil
}

func opOf(t *testing.T, p *Phase, kind string) *Op {
	t.Helper()
	for i := range p.Ops {
		if p.Ops[i].Kind == kind {
			return &p.Ops[i]
		}
	}
	require.Fail(t, "no such operation", kind)
	return nil
}

// The parts of a report agree with each other, in every run.
func requireConsistent(t *testing.T, r *Report) {
	t.Helper()
	requests, from := int64(0), 0.0
	for i := range r.Phases {
		p := &r.Phases[i]
		require.InDelta(t, from, p.From, 2e-4, "phases follow each other")
		from = p.From + p.Hours
		for _, x := range p.Traffic {
			requests += x.Requests
		}
		for _, o := range p.Ops {
			require.Equal(t, o.Count, o.Took.Count, o.Kind)
			for _, s := range []float64{o.Success, o.Recall, o.Overlap} {
				require.True(t, s >= 0 && s <= 1, o.Kind)
			}
			for _, d := range []Dist{o.Took, o.Messages} {
				require.True(t, d.P50 <= d.P95 && d.P95 <= d.P99 && d.P99 <= d.Max && d.Mean <= d.Max, o.Kind)
			}
		}
		for _, s := range []float64{p.Tables.Stale, p.Tables.Complete, p.Load.Gini} {
			require.True(t, s >= 0 && s <= 1)
		}
		if p.Records != nil {
			require.LessOrEqual(t, p.Records.Lost, p.Records.Contents)
			require.LessOrEqual(t, float64(p.Records.Fewest), p.Records.Holders)
		}
	}
	require.Equal(t, requests, r.Requests)
	for i, x := range r.Series {
		require.True(t, i == 0 || x.Hours > r.Series[i-1].Hours)
		require.True(t, x.Success == -1 || x.Success >= 0 && x.Success <= 1)
	}
}
