package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// Totals are sums of counters, for a page that shows them without Prometheus.
type Totals struct {
	In, Out        [numTypes]uint64 // requests from peers and to peers, by wire.Type; the last element: unknown type
	Rejected       uint64           // part of In
	OutFailed      uint64           // part of Out: rejected, timed out or failed, but not cancelled by this node
	Received, Sent uint64           // bytes of messages
	Queries        [dht.NumQueryKinds]QueryTotals
}

// QueryTotals are the sums of the queries of one kind.
type QueryTotals struct {
	Running int64
	Done    uint64
	Failed  uint64        // part of Done: no peer answered, or none stored the record
	Took    time.Duration // combined duration of Done
}

// Totals returns the current sums.
func (m *Metrics) Totals() Totals {
	var t Totals
	in, out := &m.rpc.in, &m.rpc.out
	for i := range t.In {
		t.In[i], t.Out[i] = sum(in.requests[i][:]...), sum(out.requests[i][:]...)
		t.Rejected += sum(in.requests[i][rpc.Rejected])
		t.OutFailed += sum(out.requests[i][rpc.Rejected], out.requests[i][rpc.TimedOut], out.requests[i][rpc.Failed])
		t.Received += sum(in.bytes[i].request, out.bytes[i].reply)
		t.Sent += sum(in.bytes[i].reply, out.bytes[i].request)
	}
	for k := range t.Queries {
		t.Queries[k] = QueryTotals{
			Running: m.dht.running[k].Load(),
			Done:    sum(m.dht.lookups[k][:]...), Failed: sum(m.dht.lookups[k][dht.OutcomeFailed]),
			Took: time.Duration(written(m.dht.duration[k]).GetHistogram().GetSampleSum() * float64(time.Second)),
		}
	}
	return t
}

// sum returns the sum of counters.
func sum(counters ...prometheus.Counter) (n uint64) {
	for _, c := range counters {
		n += uint64(written(c).GetCounter().GetValue())
	}
	return n
}

// written returns a counter or a histogram of ours as a scrape would. Neither can fail.
func written(m prometheus.Metric) *dto.Metric {
	out := new(dto.Metric)
	if err := m.Write(out); err != nil {
		panic(err)
	}
	return out
}
