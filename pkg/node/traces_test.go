package node

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
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

}

// The memory of all traces reaches maxTraceBytes and does not exceed it.
func TestMaxTraceBytes(t *testing.T) {
	big := func() *dht.Trace { return &dht.Trace{Steps: make([]dht.Step, dht.MaxTraceSteps)} }
	fits := maxTraceBytes / traceSize(big())
	var ts traces
	for range fits {
		ts.add(big())
	}
	rest := maxTraceBytes - ts.bytes
	require.Greater(t, rest, traceSize(&dht.Trace{}))
	ts.add(&dht.Trace{Value: make([]byte, rest-traceSize(&dht.Trace{}))})
	require.Len(t, ts.kept, fits+1)
	require.Equal(t, maxTraceBytes, ts.bytes)
	ts.kept[fits] = &dht.Trace{Value: ts.kept[fits].Value[1:]} // a byte less
	ts.bytes--
	ts.add(&dht.Trace{})
	require.Len(t, ts.kept, fits+1, "the oldest went")
	require.Equal(t, maxTraceBytes-1-traceSize(big())+traceSize(&dht.Trace{}), ts.bytes)
}

// traceSize counts everything that a trace refers to.
func TestTraceSize(t *testing.T) {
	id := kad.PeerID(strings.Repeat("i", 38))
	peer := kad.Peer{ID: id}
	x := dht.Trace{
		Key: make([]byte, 40), Value: make([]byte, dht.MaxTraceValue), Closest: slices.Repeat([]kad.Peer{peer}, 20),
		Steps: slices.Repeat([]dht.Step{{Peer: peer, Err: errors.New(strings.Repeat("e", maxTraceError))}}, 35),
		Found: slices.Repeat([]wire.Peer{{ID: id, Addrs: slices.Repeat([][]byte{make([]byte, 12)}, dht.MaxTraceAddrs)}}, dht.MaxTracePeers),
	}
	require.Equal(t, int(memory(reflect.ValueOf(x))), traceSize(&x))
	x.Steps[0].Err = nil
	require.Equal(t, int(memory(reflect.ValueOf(x))), traceSize(&x))
	lookup := dht.Trace{Key: x.Key, Closest: x.Closest, Steps: slices.Repeat([]dht.Step{{Peer: peer}}, 35)}
	require.LessOrEqual(t, maxTraces*traceSize(&lookup), maxTraceBytes, "the last maxTraces lookups fit")
}

// memory returns the size of a value with everything that it refers to.
func memory(v reflect.Value) uintptr { return v.Type().Size() + referred(v) }

func referred(v reflect.Value) (n uintptr) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return 0
		}
		for i := range v.NumField() {
			n += referred(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			n += memory(v.Index(i))
		}
	case reflect.String:
		n = uintptr(v.Len())
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() && v.Kind() == reflect.Interface {
			return referred(v.Elem())
		} else if !v.IsNil() {
			return memory(v.Elem())
		}
	}
	return n
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
