package metrics_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/metrics"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// TestTotals compares the totals with a simple count of the same events.
func TestTotals(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	m := metrics.New("v1.2.3", "abc")
	require.Zero(t, m.Totals())
	want := metrics.Totals{RejectedBy: map[string]uint64{}, OutFailedBy: map[string]uint64{}}
	reasons := metrics.Reasons()
	for range 5000 {
		s := rpc.Stats{
			Type: wire.Type(rng.IntN(wire.NumTypes + 3)), Outcome: rpc.Outcome(rng.IntN(rpc.NumOutcomes)),
			BytesIn: rng.IntN(2000), BytesOut: rng.IntN(2000), Duration: time.Second,
		}
		if s.Outcome == rpc.Rejected || s.Outcome == rpc.Failed {
			s.Reason = reasons[rng.IntN(len(reasons))]
		}
		known := min(s.Type, wire.NumTypes)
		want.Received += uint64(s.BytesIn)
		want.Sent += uint64(s.BytesOut)
		if rng.IntN(2) == 0 {
			m.RPC().Inbound(s)
			want.In[known]++
			if s.Outcome == rpc.Rejected {
				want.Rejected++
				want.RejectedBy[s.Reason]++
			}
		} else {
			m.RPC().Outbound(s)
			want.Out[known]++
			if s.Outcome == rpc.Rejected || s.Outcome == rpc.TimedOut || s.Outcome == rpc.Failed {
				want.OutFailed++
				if s.Outcome == rpc.TimedOut {
					want.OutTimedOut++
				} else {
					want.OutFailedBy[s.Reason]++
				}
			}
		}
		countQuery(rng, m.DHT(), &want)
	}
	require.Equal(t, want, m.Totals())
}

// countQuery counts the start or the end of a query.
func countQuery(rng *rand.Rand, o dht.Observer, want *metrics.Totals) {
	kind := dht.QueryKind(rng.IntN(dht.NumQueryKinds))
	q := &want.Queries[kind]
	if q.Running == 0 || rng.IntN(2) == 0 {
		o.QueryStarted(kind)
		q.Running++
		return
	}
	s := dht.QueryStats{Kind: kind, Outcome: dht.QueryOutcome(rng.IntN(dht.NumQueryOutcomes)), Duration: 250 * time.Millisecond}
	o.QueryDone(s)
	q.Running--
	q.Done++
	q.Took += s.Duration
	if s.Outcome == dht.OutcomeFailed {
		q.Failed++
	}
}
