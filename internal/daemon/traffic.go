package daemon

import (
	"context"
	"time"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/metrics"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// ringSectors is into how many parts the status page and top divide the keyspace.
const ringSectors = 64

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

// Overview implements api.Backend.
func (b *Backend) Overview(ctx context.Context) (api.Overview, error) {
	if b.totals == nil {
		return api.Overview{}, api.Errorf(api.CodeUnsupported, "this node runs for one command only; ask a daemon")
	}
	id, err := b.Identity(ctx)
	if err != nil {
		return api.Overview{}, err
	}
	s, totals := b.node.Status(), b.totals()
	o := api.Overview{
		Taken: time.Now(), Identity: id, Status: b.status(&s), Republish: republishStatus(&s), Traffic: trafficOf(&totals),
		Buckets: make([]api.Bucket, len(s.Buckets)), Ring: make([]api.Sector, ringSectors),
	}
	for i, x := range s.Buckets {
		o.Buckets[i] = api.Bucket{CPL: x.CPL, Peers: x.Peers, Verified: x.Verified, Room: dht.Replicas}
	}
	for i, x := range b.node.Ring(ringSectors) {
		o.Ring[i] = api.Sector{Keys: x.Keys, Overdue: x.Overdue, Active: x.Active, Left: x.Left}
	}
	return o, nil
}

// publicOverview returns the overview for the status page, without the details of the
// machine.
func (d *Daemon) publicOverview(ctx context.Context) (api.Overview, error) {
	got := make(chan api.Overview, 1)
	err := within(ctx, func() error {
		o, err := d.backend.Overview(ctx)
		got <- o
		return err
	})
	if err != nil {
		return api.Overview{}, err // a loop that hangs may still write to got
	}
	o := <-got
	o.Status.DataDir, o.Status.MetricsAddr, o.Status.RoutingAddr = "", "", ""
	return o, nil
}
