package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/history"
	"github.com/holdfast-dht/holdfast/internal/statuspage"
	"github.com/holdfast-dht/holdfast/internal/verdict"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// ringSectors is into how many parts the status page and top divide the keyspace.
const ringSectors = 64

// Overview implements api.Backend.
func (b *Backend) Overview(ctx context.Context) (api.Overview, error) {
	if b.overview == nil {
		return api.Overview{}, api.Errorf(api.CodeUnsupported, "this node runs for one command only; ask a daemon")
	}
	return b.overview(ctx)
}

func (d *Daemon) overview(ctx context.Context) (api.Overview, error) {
	b := d.backend
	id, err := b.Identity(ctx)
	if err != nil {
		return api.Overview{}, err
	}
	kept := d.recorder.last.Load() // before the totals, so that its samples are older
	s, totals := d.node.Status(), d.metrics.Totals()
	o := api.Overview{
		Taken: time.Now(), Identity: id, Status: b.status(&s), Republish: republishStatus(&s), Traffic: trafficOf(&totals),
		Buckets: make([]api.Bucket, len(s.Buckets)), Ring: make([]api.Sector, ringSectors),
		Connected:     api.Connected{In: s.ConnectedIn, Out: s.Connected - s.ConnectedIn},
		RecentLookups: b.recentLookups(), Warnings: d.options.Logs.warned.last(),
	}
	for i, x := range s.Buckets {
		o.Buckets[i] = api.Bucket{CPL: x.CPL, Peers: x.Peers, Verified: x.Verified, Room: dht.Replicas}
	}
	for i, x := range d.node.Ring(ringSectors) {
		o.Ring[i] = api.Sector{Keys: x.Keys, Overdue: x.Overdue, Active: x.Active, Left: x.Left}
	}
	d.describeConfig(&o, &s.Bootstraps)
	used := readProcess()
	o.Limits = d.limits(&s, &o, &used)
	sample := d.sample(&s, &totals)
	r := kept.orFrom(&sample)
	o.History = r.history
	o.Failures = failuresOf(since(sample.Counters, r.hourAgo.Counters), sample.At.Sub(r.hourAgo.At))
	o.Latency = d.latencies.counts().since(r.latencies, sample.At.Sub(r.latenciesFrom))
	f := d.facts(&s, &o.Status, &used)
	r.describe(&f, &sample)
	o.Verdict = verdictOn(&f, o.Status.Version)
	return o, nil
}

// orFrom returns r, or what begins now if there is no sample yet (r is nil).
func (r *recorded) orFrom(now *history.Sample) *recorded {
	if r != nil {
		return r
	}
	return &recorded{history: historyOf(new(history.Ring)), hourAgo: *now, minutesAgo: *now, latencies: new(latencyCounts), latenciesFrom: now.At}
}

// describe adds what was recorded to the facts of the verdict.
func (r *recorded) describe(f *verdict.Facts, now *history.Sample) {
	f.Refused = refusedIn(since(now.Counters, r.minutesAgo.Counters))
	f.Refused.Window, f.Refused.Since = now.At.Sub(r.minutesAgo.At), r.refusedSince
	f.RequestsIn, f.OverdueSince, f.UntakenSince, f.LowSince = r.requestsIn, r.overdueSince, r.untakenSince, r.lowSince
	f.ClockBack, f.ClockBackAt = r.clockBack, r.clockBackAt
}

// describeConfig adds the state of the configuration, and of the bootstrap peers in it.
func (d *Daemon) describeConfig(o *api.Overview, dialled *node.Bootstraps) {
	loaded := d.current()
	o.Config = api.ConfigState{File: loaded.File}
	_, waiting := changes(&d.config, &loaded.Config)
	o.Config.RestartNeeded = orEmpty(waiting)
	if r := d.refused.Load(); r != nil {
		o.Config.ReloadFailedSince, o.Config.ReloadError = r.since, r.why
	}
	peers, _ := ParseBootstrap(loaded.Config.Network.Bootstrap) // a load checks it
	o.Bootstrap = make([]api.BootstrapPeer, len(peers))
	for i, p := range peers {
		o.Bootstrap[i] = bootstrapPeer(p, dialled.Last)
		if d.host.Network().Connectedness(p.ID) == network.Connected {
			o.Bootstrap[i].Result, o.Bootstrap[i].Why = api.BootstrapConnected, ""
		}
	}
}

// bootstrapPeer returns the result of the last dial of a bootstrap peer.
func bootstrapPeer(p peer.AddrInfo, dials []node.BootstrapDial) api.BootstrapPeer {
	out := api.BootstrapPeer{Addr: p.Addrs[0].String(), PeerID: p.ID.String(), Result: api.BootstrapNotAsked}
	for _, dial := range dials {
		if dial.Peer != p.ID {
			continue
		}
		out.At, out.Result = dial.At, api.BootstrapAnswered
		if dial.Err != nil {
			out.Result, out.Why = api.BootstrapFailed, dialReason(dial.Err)
		}
	}
	return out
}

// dialReason returns why a dial failed, in a line without the peer.
func dialReason(err error) string {
	var dial *rpc.DialError
	if errors.As(err, &dial) {
		return logText(dial.Reasons.String())
	}
	return logText(plain(err))
}

// recentQueries is how many of the last queries an overview lists.
const recentQueries = 20

// recentLookups returns the last queries, newest first. Refreshes and corrections fill
// only the places that other queries leave free.
func (b *Backend) recentLookups() []api.RecentLookup {
	out := make([]api.RecentLookup, 0, recentQueries)
	for _, t := range latest(b.node.Traces(api.MaxTraces), recentQueries) {
		out = append(out, api.RecentLookup{
			ID: uint64(t.Query), Kind: t.Stats.Kind.String(), Key: api.KeyText(t.Key), Started: t.Started,
			TookMs: milliseconds(t.Stats.Duration), Outcome: t.Stats.Outcome.String(), Asked: t.Stats.Asked,
			Link: statuspage.ExplainLink(uint64(t.Query)),
		})
	}
	return out
}

// latest returns up to n of the traces, in their order, newest first. Refreshes and
// corrections fill only the places that other queries leave free. It changes the slice.
func latest(traces []*dht.Trace, n int) []*dht.Trace {
	upkeep := func(t *dht.Trace) bool { return t.Stats.Kind == dht.Refresh || t.Stats.Kind == dht.Correct }
	left := n
	for _, t := range traces {
		if !upkeep(t) {
			left--
		}
	}
	kept := slices.DeleteFunc(traces, func(t *dht.Trace) bool {
		if !upkeep(t) {
			return false
		}
		left--
		return left < 0
	})
	return kept[:min(n, len(kept))]
}

// publicOverview returns the overview for the metrics listener, without paths, the
// configuration and the other listeners of this machine.
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
	o.Config.File, o.Config.ReloadError = "", ""
	o.Warnings = d.options.Logs.warned.messages()
	return o, nil
}
