package daemon

import (
	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/metrics"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// trafficOf converts the totals of the metrics to the type of the admin API.
func trafficOf(t *metrics.Totals) api.Traffic {
	out := api.Traffic{
		In: make(map[string]uint64), Out: make(map[string]uint64), Lookups: make(map[string]api.LookupCount),
		Rejected: t.Rejected, OutFailed: t.OutFailed, Received: t.Received, Sent: t.Sent,
	}
	for k, n := range t.In {
		out.In[wire.Type(k).String()] = n
	}
	for k, n := range t.Out[:wire.NumTypes] {
		out.Out[wire.Type(k).String()] = n
	}
	for k, q := range t.Queries {
		out.Lookups[dht.QueryKind(k).String()] = api.LookupCount{
			Running: q.Running, Done: q.Done, Failed: q.Failed, TookMs: uint64(q.Took.Milliseconds()),
		}
	}
	return out
}
