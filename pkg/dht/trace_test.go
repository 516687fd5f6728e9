package dht

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// traceText prints a trace, a line for the query and one for each step.
func traceText(t *Trace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "trace q%d %s %s %s: %s after %s, %d seeds, %s in all\n",
		t.Query, t.Stats.Kind, printable(t.Key), t.Stats.Outcome, t.End, t.Looked, t.Seeds, t.Stats.Duration)
	if t.ValueSize > 0 {
		fmt.Fprintf(&b, "  value of %d bytes: %s\n", t.ValueSize, t.Value)
	}
	if t.FoundAll > 0 {
		fmt.Fprintf(&b, "  found %d:", t.FoundAll)
		for _, p := range t.Found {
			fmt.Fprintf(&b, " %s %q", p.ID, p.Addrs)
		}
		b.WriteString("\n")
	}
	for _, s := range t.Steps {
		fmt.Fprintf(&b, "  %s %s hop %d at %s", s.Role, s.Peer.ID, s.Hop, s.Sent)
		if s.Slow > 0 {
			fmt.Fprintf(&b, " slow at %s", s.Slow)
		}
		fmt.Fprintf(&b, " %s at %s", s.State, s.Ended)
		if s.State == StepAnswered && s.Role == RoleLookup {
			fmt.Fprintf(&b, " named=%d new=%d providers=%d value=%s", s.Named, s.New, s.Providers, s.Value)
		}
		if s.Err != nil {
			fmt.Fprintf(&b, " %v", s.Err)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// The trace of a query that floods the network has a limited size.
func TestTraceIsBounded(t *testing.T) {
	trace := &Trace{}
	q := &query{trace: trace}
	for range MaxTraceSteps + 7 {
		r := &request{role: RoleStore, query: q}
		trace.sent(time.Time{}, r)
		trace.failed(time.Time{}, r, errors.New("refused"))
		trace.cancelled(time.Time{}, r)
	}
	require.Len(t, trace.Steps, MaxTraceSteps)
	require.Equal(t, 7, trace.Omitted)
}

// A trace keeps the beginning of a large result, in memory of its own.
func TestTraceOfALargeResultIsBounded(t *testing.T) {
	addrs := func(n int) (out [][]byte) {
		for i := range n {
			out = append(out, []byte{byte(i)})
		}
		return out
	}
	trace := &Trace{}
	q := &query{trace: trace, best: records.Value{Value: make([]byte, MaxTraceValue+1)}}
	for i := range MaxTracePeers + 1 {
		p := wire.Peer{ID: kad.PeerID(fmt.Sprint(i)), Addrs: addrs(MaxTraceAddrs - 1), Raw: []byte("entry")}
		trace.found(&p)
		_, _ = q.providers.add(p)
		p.Addrs[0][0] = 0xff
	}
	trace.found(&wire.Peer{ID: "0", Addrs: addrs(2)})
	trace.finished(q, &Result{})
	require.Len(t, trace.Found, MaxTracePeers)
	require.Equal(t, MaxTracePeers+1, trace.FoundAll)
	require.Len(t, trace.Found[0].Addrs, MaxTraceAddrs)
	require.Equal(t, wire.Peer{ID: "1", Addrs: addrs(MaxTraceAddrs - 1)}, trace.Found[1])
	require.Len(t, trace.Value, MaxTraceValue)
	require.Equal(t, MaxTraceValue, cap(trace.Value), "the rest of the value is not kept")
	require.Equal(t, MaxTraceValue+1, trace.ValueSize)

	small := &Trace{}
	small.finished(&query{Query: Query{Value: records.Value{Value: make([]byte, MaxTraceValue)}}}, &Result{Peer: wire.Peer{ID: "p", Addrs: addrs(1)}})
	require.Len(t, small.Value, MaxTraceValue)
	require.Equal(t, MaxTraceValue, small.ValueSize)
	require.Equal(t, []wire.Peer{{ID: "p", Addrs: addrs(1)}}, small.Found)
	require.Equal(t, 1, small.FoundAll)
}

// BenchmarkLookup measures a whole lookup with and without a trace. Without Config.Trace
// the cost of tracing must not be measurable.
func BenchmarkLookup(b *testing.B) {
	for _, traced := range []bool{false, true} {
		b.Run(fmt.Sprintf("trace=%v", traced), func(b *testing.B) {
			now := time.Unix(1e9, 0)
			var peers []kad.Peer
			for i := range 40 {
				peers = append(peers, kad.NewPeer(kad.PeerID(fmt.Sprintf("peer %d", i))))
			}
			m := New(Config{Self: kad.NewPeer("self"), Trace: traced})
			m.Restored(now, peers)
			answer := func() {
				for out := m.Take(); len(out.Send) > 0; out = m.Take() {
					for _, s := range out.Send {
						m.Responded(now, s.ID, Response{Message: &wire.Message{}, Closer: peers[:20]})
					}
				}
			}
			answer()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Start(now, Query{Kind: FindClosest, Key: []byte("key")}); err != nil {
					b.Fatal(err)
				}
				answer()
			}
		})
	}
}
