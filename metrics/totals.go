package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// Totals are sums of counters, for a page that shows them without Prometheus.
type Totals struct {
	In, Out        [numTypes]uint64  // requests from peers and to peers, by wire.Type; the last element: unknown type
	Rejected       uint64            // part of In
	OutFailed      uint64            // part of Out: rejected, timed out or failed, but not cancelled by this node
	RejectedBy     map[string]uint64 // Rejected by reason; nil if there are none
	OutFailedBy    map[string]uint64 // OutFailed by reason, without timeouts; nil if there are none
	OutTimedOut    uint64            // part of OutFailed
	Received, Sent uint64            // bytes of messages
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
		t.OutTimedOut += sum(out.requests[i][rpc.TimedOut])
		t.Received += sum(in.bytes[i].request, out.bytes[i].reply)
		t.Sent += sum(in.bytes[i].reply, out.bytes[i].request)
	}
	t.RejectedBy, t.OutFailedBy = in.byReason(), out.byReason()
	for k := range t.Queries {
		t.Queries[k] = QueryTotals{
			Running: m.dht.running[k].Load(),
			Done:    sum(m.dht.lookups[k][:]...), Failed: sum(m.dht.lookups[k][dht.OutcomeFailed]),
			Took: time.Duration(written(m.dht.duration[k]).GetHistogram().GetSampleSum() * float64(time.Second)),
		}
	}
	return t
}

// Reasons returns every reason that can be in RejectedBy and OutFailedBy, sorted.
func Reasons() []string { return slices.Clone(knownReasons) }

// byReason returns the rejections of all types by reason, those with a reason above 0.
func (d *side) byReason() (by map[string]uint64) {
	all := make(chan prometheus.Metric)
	go func() {
		d.rejections.Collect(all)
		close(all)
	}()
	for m := range all {
		w := written(m)
		n := uint64(w.GetCounter().GetValue())
		for _, l := range w.GetLabel() {
			if l.GetName() == "reason" && n > 0 {
				if by == nil {
					by = make(map[string]uint64)
				}
				by[l.GetValue()] += n
			}
		}
	}
	return by
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
