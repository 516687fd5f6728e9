package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// dhtObserver counts the events of the Machine. Safe for concurrent use.
type dhtObserver struct {
	lookups  [dht.NumQueryKinds][dht.NumQueryOutcomes]prometheus.Counter
	duration [dht.NumQueryKinds]prometheus.Histogram
	running  [dht.NumQueryKinds]atomic.Int64
	hops     prometheus.Observer
	queried  prometheus.Observer

	requests [dht.NumRoles][2]prometheus.Counter
	waited   [dht.NumRoles]prometheus.Observer

	table     [dht.NumTableActions]prometheus.Counter
	probes    [2]prometheus.Counter
	restored  [2]prometheus.Gauge
	refreshes [2]prometheus.Counter

	republished     [records.NumKinds][numRepublished]prometheus.Counter
	replicas        prometheus.Observer
	lag             prometheus.Observer
	findNode        prometheus.Counter
	lastRepublished prometheus.Gauge
}

var _ dht.Observer = (*dhtObserver)(nil)

func newDHTObserver(r registrar) *dhtObserver {
	o := &dhtObserver{
		hops:            r.histogram("lookup_hops", "Longest chain of answers that led a lookup to one of the closest peers.", hopBuckets),
		queried:         r.histogram("lookup_peers_queried", "Peers queried by one lookup.", queriedBuckets),
		replicas:        r.histogram("republish_replicas", "Peers that stored a republished record.", replicaBuckets),
		lag:             r.histogram("republish_lag_seconds", "Delay between the due time of a key and the start of its republishing.", lagBuckets),
		lastRepublished: r.gauge("republish_last_success_timestamp_seconds", "Time when a key was last republished; 0: not since the start."),
	}
	o.findNode = r.counter("republish_find_node_total", "Peers queried by the lookups that republishing needs.")
	o.addLookups(r)
	o.addRequests(r)
	o.addTable(r)
	total := r.counterVec("republish_total", "Attempts to republish one key, by outcome; partial: fewer than half of the peers stored it, or the attempt was interrupted, and it is retried.", "kind", "outcome")
	for k := range o.republished {
		for i, outcome := range republishOutcomes {
			o.republished[k][i] = total.WithLabelValues(records.Kind(k).String(), outcome)
		}
	}
	return o
}

// The outcomes of republishing a key.
const (
	republishFailed  = iota // no peer stored it
	republishPartial        // too few peers stored it
	republishOK

	numRepublished = 3
)

var republishOutcomes = [numRepublished]string{"failed", "partial", "ok"}

func (o *dhtObserver) addLookups(r registrar) {
	total := r.counterVec("lookups_total", "Queries by purpose and outcome.", "op", "outcome")
	duration := r.histogramVec("lookup_duration_seconds", "Duration of a query, including its stores.", lookupBuckets, "op")
	for k := range o.lookups {
		op := dht.QueryKind(k).String()
		o.duration[k] = duration.WithLabelValues(op).(prometheus.Histogram)
		for out := range o.lookups[k] {
			o.lookups[k][out] = total.WithLabelValues(op, dht.QueryOutcome(out).String())
		}
	}
}

func (o *dhtObserver) addRequests(r registrar) {
	total := r.counterVec("requests_total", "Requests by purpose and outcome.", "role", "outcome")
	duration := r.histogramVec("request_duration_seconds", "Time from a request, including its dial, to its answer or failure.", rpcBuckets, "role")
	for i := range o.requests {
		role := dht.Role(i).String()
		o.requests[i] = okFailed(total, role)
		o.waited[i] = duration.WithLabelValues(role)
	}
}

func (o *dhtObserver) addTable(r registrar) {
	changes := r.counterVec("routing_table_changes_total", "Changes of the routing table.", "action")
	for a := range o.table {
		o.table[a] = changes.WithLabelValues(dht.TableAction(a).String())
	}
	o.probes = okFailed(r.counterVec("probes_total", "Probes of peers, for admission or liveness, by outcome.", "outcome"))
	restored := r.gaugeVec("routing_table_restored_peers", "Peers restored from the snapshot at start, by the result of their probe.", "result")
	o.restored = [2]prometheus.Gauge{restored.WithLabelValues("failed"), restored.WithLabelValues("answered")}
	o.refreshes = okFailed(r.counterVec("bucket_refreshes_total", "Refreshes of one bucket, by outcome.", "outcome"))
}

// QueryStarted implements dht.Observer.
func (o *dhtObserver) QueryStarted(kind dht.QueryKind) { o.running[kind].Add(1) }

// QueryDone implements dht.Observer.
func (o *dhtObserver) QueryDone(s dht.QueryStats) {
	o.running[s.Kind].Add(-1)
	o.lookups[s.Kind][s.Outcome].Inc()
	o.duration[s.Kind].Observe(s.Duration.Seconds())
	if s.Kind != dht.Correct { // a pure store has no lookup
		o.hops.Observe(float64(s.Hops))
		o.queried.Observe(float64(s.Asked))
	}
	if s.Scheduled {
		o.findNode.Add(float64(s.Asked))
	}
}

// RequestDone implements dht.Observer.
func (o *dhtObserver) RequestDone(role dht.Role, ok bool, took time.Duration) {
	o.requests[role][index(ok)].Inc()
	o.waited[role].Observe(took.Seconds())
}

// TableChanged implements dht.Observer.
func (o *dhtObserver) TableChanged(a dht.TableAction) { o.table[a].Inc() }

// Probed implements dht.Observer.
func (o *dhtObserver) Probed(ok, restored bool) {
	o.probes[index(ok)].Inc()
	if restored {
		o.restored[index(ok)].Inc()
	}
}

// Refreshed implements dht.Observer.
func (o *dhtObserver) Refreshed(ok bool) { o.refreshes[index(ok)].Inc() }

// Republished implements dht.Observer.
func (o *dhtObserver) Republished(kind records.Kind, ok bool, replicas int, lag time.Duration) {
	outcome := republishFailed
	switch {
	case ok:
		outcome = republishOK
	case replicas > 0:
		outcome = republishPartial
	}
	o.republished[kind][outcome].Inc()
	o.replicas.Observe(float64(replicas))
	o.lag.Observe(lag.Seconds())
	if ok {
		setNow(o.lastRepublished)
	}
}
