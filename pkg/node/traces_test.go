package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

func TestTracesAreBounded(t *testing.T) {
	var ts traces
	for i := range maxTraces + 5 {
		ts.add(&dht.Trace{Query: dht.QueryID(i)})
	}
	all := ts.last(2 * maxTraces)
	require.Len(t, all, maxTraces)
	require.EqualValues(t, maxTraces+4, all[0].Query, "newest first")
	require.EqualValues(t, 5, all[maxTraces-1].Query)
	require.Len(t, ts.last(3), 3)
	require.Empty(t, ts.last(-1))

	for range maxTraces {
		ts.add(&dht.Trace{Steps: make([]dht.Step, dht.MaxTraceSteps)})
	}
	require.Len(t, ts.last(maxTraces), maxTraceSteps/dht.MaxTraceSteps)
	require.Equal(t, maxTraceSteps, ts.steps)
}

func TestTracesHoldNoErrorsOfOthers(t *testing.T) {
	var ts traces
	long := rpc.NewDialError("peer", &swarm.DialError{DialErrors: []swarm.TransportError{
		{Address: ma.StringCast("/ip4/1.2.3.4/tcp/1"), Cause: errors.New("refused")},
		{Address: ma.StringCast("/ip4/5.6.7.8/tcp/1"), Cause: errors.New(strings.Repeat("\u00fc", maxTraceError))},
	}})
	ts.add(&dht.Trace{Steps: []dht.Step{
		{Err: fmt.Errorf("rpc: %w", long)},
		{Err: failure{errors.New("no such protocol"), dht.ErrNotServer}},
	}})
	steps := ts.last(1)[0].Steps
	require.NotErrorIs(t, steps[0].Err, long)
	require.True(t, strings.HasPrefix(steps[0].Err.Error(), "[/ip4/1.2.3.4/tcp/1] refused; [/ip4/5.6.7.8/tcp/1] "), steps[0].Err)
	require.NotContains(t, steps[0].Err.Error(), "\ufffd", "cut between two letters")
	require.EqualError(t, steps[1].Err, "no such protocol")
}

func TestMaxTraceError(t *testing.T) {
	longest := strings.Repeat("e", maxTraceError)
	require.EqualError(t, shortError(errors.New(longest)), longest)
	require.EqualError(t, shortError(errors.New(longest+"e")), longest+"...")
}
