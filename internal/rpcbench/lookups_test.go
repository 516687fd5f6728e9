package rpcbench

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// stories is an Explainer that returns the same traces in turn.
type stories struct {
	all  []api.Trace
	told atomic.Int64
}

func (s *stories) Explain(context.Context, string, []byte) (api.Trace, error) {
	n := s.told.Add(1)
	if int(n) > len(s.all) {
		return api.Trace{}, errors.New("no more")
	}
	return s.all[n-1], nil
}

func TestLookups(t *testing.T) {
	step := api.TraceStep{RTTMs: 2}
	s := &stories{all: []api.Trace{
		{Outcome: "ok", LookupMs: 8, Hops: 1, Asked: 20, Steps: []api.TraceStep{step, step, {}}},
		{Outcome: "not_found", LookupMs: 16, Hops: 3, Asked: 30, Failed: 2, Steps: []api.TraceStep{step}},
		{Outcome: "failed", LookupMs: 1000},
	}}
	cfg := LookupConfig{Lookup: api.LookupClosest, Count: 3, Parallel: 2}
	last := 0
	r, err := Lookups(t.Context(), s, cfg, func(done int) { last = done })
	require.NoError(t, err)
	require.Equal(t, 3, last)
	require.Positive(t, r.PerSecond)
	r.PerSecond = 0
	require.Equal(t, LookupResult{
		Lookup: "closest", Lookups: 3, Failed: 1, Parallel: 2, P50: 8, P95: 16, P99: 16,
		RTT: 2, Limit: 6, Share: 0.75, Hops: 2, Asked: 25, Silent: 1,
	}, r)
	_, err = Lookups(t.Context(), s, cfg, func(int) {})
	require.ErrorContains(t, err, "no more")
	_, err = Lookups(t.Context(), s, LookupConfig{Lookup: "get"}, nil)
	require.ErrorIs(t, err, ErrConfig)
	for _, problem := range []string{`no lookup "get"`, "count 0", "parallel 0"} {
		require.ErrorContains(t, err, problem)
	}
}
