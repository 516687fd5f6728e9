package daemon

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/api"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/usage"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// ringSectors is how finely the status page and top show the keyspace.
const ringSectors = 64

// traffic counts what the node asks of others and what queries it runs. What
// others ask of it is counted by usage. Safe for concurrent use.
type traffic struct {
	out            [wire.NumTypes]atomic.Uint64
	failed         atomic.Uint64
	received, sent atomic.Uint64
	queries        [dht.NumQueryKinds]struct {
		started, done, failed, took atomic.Uint64 // took: milliseconds
	}
}

var _ rpc.Observer = (*traffic)(nil)

// Inbound implements rpc.Observer.
func (t *traffic) Inbound(rpc.Stats) {}

// Outbound implements rpc.Observer.
func (t *traffic) Outbound(s rpc.Stats) {
	if s.Type < wire.NumTypes {
		t.out[s.Type].Add(1)
	}
	if s.Outcome != rpc.Replied && s.Outcome != rpc.NoReply && s.Outcome != rpc.Cancelled {
		t.failed.Add(1)
	}
	t.received.Add(uint64(s.BytesIn))
	t.sent.Add(uint64(s.BytesOut))
}

// queryCounter counts queries and tells the next observer everything.
type queryCounter struct {
	dht.Observer
	traffic *traffic
}

// QueryStarted implements dht.Observer.
func (c queryCounter) QueryStarted(kind dht.QueryKind) {
	c.traffic.queries[kind].started.Add(1)
	c.Observer.QueryStarted(kind)
}

// QueryDone implements dht.Observer.
func (c queryCounter) QueryDone(s dht.QueryStats) {
	q := &c.traffic.queries[s.Kind]
	q.done.Add(1)
	q.took.Add(uint64(s.Duration.Milliseconds()))
	if s.Outcome == dht.OutcomeFailed {
		q.failed.Add(1)
	}
	c.Observer.QueryDone(s)
}

// count sums up the traffic since the start.
func (t *traffic) count(in *usage.Account) api.Traffic {
	cost := in.Total()
	out := api.Traffic{
		In: make(map[string]uint64), Out: make(map[string]uint64), Lookups: make(map[string]api.LookupCount),
		Rejected: cost.Rejected, OutFailed: t.failed.Load(),
		Received: cost.BytesIn + t.received.Load(), Sent: cost.BytesOut + t.sent.Load(),
	}
	for k, n := range cost.Requests {
		out.In[wire.Type(k).String()] = n
	}
	for k := range t.out {
		out.Out[wire.Type(k).String()] = t.out[k].Load()
	}
	for k := range t.queries {
		q := &t.queries[k]
		done := q.done.Load()
		out.Lookups[dht.QueryKind(k).String()] = api.LookupCount{
			Running: int64(q.started.Load() - done), Done: done, Failed: q.failed.Load(), TookMs: q.took.Load(),
		}
	}
	return out
}

// Overview implements api.Backend.
func (b *Backend) Overview(ctx context.Context) (api.Overview, error) {
	if b.usage == nil {
		return api.Overview{}, api.Errorf(api.CodeUnsupported, "this node lives for one command; ask a daemon")
	}
	o := api.Overview{Taken: time.Now(), Traffic: b.traffic.count(b.usage)}
	var err error
	if o.Identity, err = b.Identity(ctx); err != nil {
		return o, err
	}
	if o.Status, err = b.Status(ctx); err != nil {
		return o, err
	}
	if o.Republish, err = b.RepublishStatus(ctx); err != nil {
		return o, err
	}
	buckets, ring := b.node.Status().Buckets, b.node.Ring(ringSectors)
	o.Buckets, o.Ring = make([]api.Bucket, len(buckets)), make([]api.Sector, len(ring))
	for i, x := range buckets {
		o.Buckets[i] = api.Bucket{CPL: x.CPL, Peers: x.Peers, Verified: x.Verified, Room: dht.Replicas}
	}
	for i, x := range ring {
		o.Ring[i] = api.Sector{Keys: x.Keys, Overdue: x.Overdue, Active: x.Active, Left: x.Left}
	}
	return o, nil
}

// publicOverview is the overview without what is the machine's own business, for
// the status page.
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
