package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/metrics"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/storage"
)

// fixed is a node and a database that always return the same values.
type fixed struct {
	status node.Status
	sizes  storage.Sizes
	unread error // error of Sizes
	copies int64
	failed error
}

func (f *fixed) Status() node.Status { return f.status }

func (f *fixed) Sizes() (storage.Sizes, error) { return f.sizes, f.unread }

func (f *fixed) CopiesSize() (int, int64, error) { return 2, f.copies, nil }

func (f *fixed) Damage() (storage.Damage, error) { return storage.Damage{Files: 35}, nil }

func (f *fixed) Err() error { return f.failed }

// statusOnly returns the source of a node that stores its records elsewhere.
func statusOnly(s node.Status) metrics.Source { return metrics.Source{Node: &fixed{status: s}} }

func busy() metrics.Source {
	buckets := make([]node.Bucket, 201)
	buckets[0].Peers, buckets[5].Peers, buckets[32].Peers, buckets[200].Peers = 20, 7, 1, 2
	for i := range buckets {
		buckets[i].CPL = i
	}
	f := &fixed{
		status: node.Status{
			Bootstrapped: true, Serving: true, Reachability: "Public",
			TablePeers: 30, VerifiedPeers: 25, RestoredPeers: 12, Buckets: buckets,
			NetworkSize: 1234.5, OldestRefresh: time.Unix(1_700_000_000, 500e6),
			Load: node.Load{
				Load: dht.Load{
					Queries: 3, Blocked: 1, Requests: 17, Probes: 4, Candidates: 9, RefusedQueries: 2, DroppedCandidates: 6,
				},
				InboundStreams: 40, OutboundStreams: 5, IdleStreams: 8, WaitingCalls: 11, DroppedCalls: 13,
			},
			Connected: 29, ConnectedIn: 14, Bootstraps: node.Bootstraps{Reached: 1, Failed: 2, Skipped: 3},
			Republish: node.RepublishStatus{Active: 8, Overdue: 21, Holders: node.Holders{Fewest: 22, FewestKeys: 23}},
			Records: records.Stats{
				Records: [records.NumKinds]int64{100, 200}, Bytes: [records.NumKinds]int64{1000, 2000}, Providers: 50,
				Published: [records.NumKinds]int64{7, 8}, PendingWrites: 16, RefusedWrites: 18,
				Refused: [records.NumQuotas]int64{records.QuotaProviders: 19, records.QuotaAddressesPerProvider: 20},
			},
		},
		sizes:  storage.Sizes{File: 1 << 20, Free: 1 << 10, Fill: 0.75, Disk: storage.DiskSpace{Free: 25, Total: 26}},
		copies: 24, failed: errors.New("fsync"),
	}
	return metrics.Source{
		Node: f, Database: f, DiskFull: func() bool { return true },
		RefusedConnections: func() metrics.RefusedConnections { return metrics.RefusedConnections{Limit: 33, Rate: 34} },
		First:              true, UncleanStarts: 31, MemoryLimit: func() int64 { return 32 },
		Quotas: [records.NumQuotas]int64{records.QuotaBytes: 1 << 30, records.QuotaValueBytes: 10},
	}
}

// values returns our metrics: name{labels} -> value. A histogram is returned as its count and
// sum.
func values(t testing.TB, m *metrics.Metrics) map[string]float64 {
	t.Helper()
	out := make(map[string]float64)
	for _, f := range ours(t, m) {
		for _, x := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), metrics.Namespace+"_")
			key := name + labels(x)
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				out[key] = x.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				out[key] = x.GetGauge().GetValue()
			case dto.MetricType_HISTOGRAM:
				out[name+"_count"+labels(x)] = float64(x.GetHistogram().GetSampleCount())
				out[name+"_sum"+labels(x)] = x.GetHistogram().GetSampleSum()
			}
		}
	}
	return out
}

func labels(x *dto.Metric) string {
	var parts []string
	for _, l := range x.GetLabel() {
		parts = append(parts, l.GetName()+"="+l.GetValue())
	}
	if len(parts) == 0 {
		return ""
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func requireValues(t *testing.T, m *metrics.Metrics, want map[string]float64) {
	t.Helper()
	got := values(t, m)
	for name, v := range want {
		require.Contains(t, got, name)
		require.InDelta(t, v, got[name], 1e-9, name)
	}
}

// observe sends the observers n events of each kind, from n different peers about n different
// keys, with every known outcome and some unknown ones.
func observe(m *metrics.Metrics, n int) {
	reasons := append(strings.Fields(`closed unreachable unsupported stream_ended reply_type too_large malformed empty_frame
		unknown_type refused too_many_streams idle_stream memory rate_limited other no_key key_too_long no_record key_mismatch
		unknown_namespace invalid_record no_provider older_record quota busy storage`), "")
	ops := []string{"put_value", "expire"}
	for i := range n {
		s := rpc.Stats{
			Type: wire.Type(i % (wire.NumTypes + 3)), Peer: peer.ID(fmt.Sprint("peer", i)), Key: fmt.Append(nil, "key", i),
			Outcome: rpc.Outcome(i / 3 % (rpc.NumOutcomes + 1)), Reason: reasons[i/7%len(reasons)],
			Duration: time.Duration(i) * time.Millisecond, BytesIn: i, BytesOut: 2 * i,
		}
		if i%11 == 0 {
			s.Reason = fmt.Sprint("words of peer ", i)
		}
		m.RPC().Inbound(s)
		m.RPC().Outbound(s)
		m.DHT().QueryStarted(dht.QueryKind(i % dht.NumQueryKinds))
		m.DHT().QueryDone(dht.QueryStats{
			Kind: dht.QueryKind(i % dht.NumQueryKinds), Outcome: dht.QueryOutcome(i / 8 % dht.NumQueryOutcomes),
			Duration: time.Second, Hops: i, Asked: i, Scheduled: i%2 == 0,
		})
		m.DHT().TableChanged(dht.TableAction(i % dht.NumTableActions))
		m.DHT().RequestDone(dht.Role(i%dht.NumRoles), i%2 == 0, time.Second)
		m.DHT().Probed(i%2 == 0, i%3 == 0)
		m.DHT().Refreshed(i%2 == 0)
		m.DHT().Republished(records.Kind(i%records.NumKinds), i%3 == 0, i, time.Second)
		m.Housekeeping().Snapshot(time.Second, i, nil)
		m.Housekeeping().Expired(time.Second, records.Expired{Records: [records.NumKinds]int64{1, 2}}, nil)
		m.Storage().Committed(i, time.Second)
		m.Storage().StorageError(ops[i%len(ops)], errors.New("disk"))
		m.Storage().StorageError(fmt.Sprint("operation ", i), errors.New("disk"))
	}
}

// TestCardinality checks that a node that has met 10,000 peers has no more series than one
// that has met a few.
func TestCardinality(t *testing.T) {
	m := metrics.New("v1.2.3", "abc")
	before := len(values(t, m))
	observe(m, 4000) // every combination of types, outcomes and reasons in observe
	m.Watch(busy())
	few := len(values(t, m))
	observe(m, 10_000)
	require.Len(t, values(t, m), few)
	require.Less(t, before, few, "impossible combinations have no series in advance")
	require.Less(t, few, 1000)
	t.Logf("%d series at the start, %d in the end", before, few)
}

func TestProtocolEvents(t *testing.T) {
	m := metrics.New("v1.2.3", "abc")
	o := m.DHT()
	o.QueryStarted(dht.FindValue)
	o.QueryStarted(dht.StoreProvider)
	o.QueryStarted(dht.Correct)
	o.QueryDone(dht.QueryStats{Kind: dht.StoreProvider, Duration: 3 * time.Second, Hops: 4, Asked: 33, Scheduled: true})
	o.QueryDone(dht.QueryStats{Kind: dht.Correct, Outcome: dht.OutcomeFailed})
	o.TableChanged(dht.PeerEvicted)
	o.Probed(true, true)
	o.Probed(false, false)
	o.RequestDone(dht.RoleProbe, false, 10*time.Second)
	o.Refreshed(true)
	o.Republished(records.KindProvider, true, 20, 90*time.Second)
	o.Republished(records.KindValue, false, 0, 0)
	o.Republished(records.KindValue, false, 9, 0)
	requireValues(t, m, map[string]float64{
		"lookups_total{op=store_provider,outcome=ok}":    1,
		"lookups_total{op=correct,outcome=failed}":       1,
		"lookups_total{op=find_value,outcome=ok}":        0,
		"lookup_duration_seconds_sum{op=store_provider}": 3,
		"lookup_hops_count":                              1,
		"lookup_hops_sum":                                4,
		"lookup_peers_queried_sum":                       33,
		"republish_find_node_total":                      33,
		"routing_table_changes_total{action=evicted}":    1,
		"routing_table_restored_peers{result=answered}":  1,
		"routing_table_restored_peers{result=failed}":    0,
		"probes_total{outcome=ok}":                       1,
		"probes_total{outcome=failed}":                   1,
		"requests_total{outcome=failed,role=probe}":      1,
		"request_duration_seconds_sum{role=probe}":       10,
		"bucket_refreshes_total{outcome=ok}":             1,
		"republish_total{kind=provider,outcome=ok}":      1,
		"republish_total{kind=value,outcome=failed}":     1,
		"republish_total{kind=value,outcome=partial}":    1,
		"republish_replicas_sum":                         29,
		"republish_lag_seconds_sum":                      90,
	})
	require.InDelta(t, time.Now().Unix(), values(t, m)["republish_last_success_timestamp_seconds"], 5)
}

func TestRequests(t *testing.T) {
	m := metrics.New("v1.2.3", "abc")
	o := m.RPC()
	o.Inbound(rpc.Stats{Type: wire.FindNode, Duration: time.Second, BytesIn: 40, BytesOut: 1000})
	o.Inbound(rpc.Stats{Type: wire.AddProvider, Outcome: rpc.NoReply})
	o.Inbound(rpc.Stats{Type: wire.AddProvider, Outcome: rpc.Rejected, Reason: "no_provider"})
	o.Inbound(rpc.Stats{Type: wire.PutValue, Outcome: rpc.TimedOut}) // stored, but the reply was not read
	o.Inbound(rpc.Stats{Type: wire.PutValue, Outcome: rpc.Rejected, Reason: "older_record"})
	o.Inbound(rpc.Stats{Type: wire.PutValue, Outcome: rpc.Rejected, Reason: "storage"})
	o.Inbound(rpc.Stats{Type: wire.PutValue, Outcome: rpc.Rejected, Reason: "busy"})
	o.Inbound(rpc.Stats{Type: wire.NumTypes, Outcome: rpc.Rejected, Reason: rpc.ReasonStreams})
	o.Inbound(rpc.Stats{Type: 77, Outcome: rpc.Rejected, Reason: "unheard of"})
	o.Outbound(rpc.Stats{Type: wire.Ping, Outcome: rpc.Failed, Reason: rpc.ReasonUnreachable, Duration: 2 * time.Second, BytesOut: 5})
	o.Outbound(rpc.Stats{Type: wire.Ping, Outcome: rpc.Cancelled, Reason: rpc.ReasonClosed})
	requireValues(t, m, map[string]float64{
		"rpc_inbound_requests_total{outcome=reply,type=FIND_NODE}":         1,
		"rpc_inbound_requests_total{outcome=rejected,type=UNKNOWN}":        2,
		"rpc_inbound_duration_seconds_sum{type=FIND_NODE}":                 1,
		"rpc_inbound_bytes_total{part=request,type=FIND_NODE}":             40,
		"rpc_inbound_bytes_total{part=reply,type=FIND_NODE}":               1000,
		"rpc_inbound_rejected_total{reason=no_provider,type=ADD_PROVIDER}": 1,
		"rpc_inbound_rejected_total{reason=too_many_streams,type=UNKNOWN}": 1,
		"rpc_inbound_rejected_total{reason=other,type=UNKNOWN}":            1,
		"record_puts_total{kind=provider,outcome=stored}":                  1,
		"record_puts_total{kind=provider,outcome=invalid}":                 1,
		"record_puts_total{kind=value,outcome=stored}":                     1,
		"record_puts_total{kind=value,outcome=older}":                      1,
		"record_puts_total{kind=value,outcome=refused}":                    1,
		"record_puts_total{kind=value,outcome=failed}":                     1,
		"record_validation_failures_total{reason=no_provider}":             1,
		"record_validation_failures_total{reason=too_large}":               0,
		"rpc_outbound_requests_total{outcome=error,type=PING}":             1,
		"rpc_outbound_requests_total{outcome=cancelled,type=PING}":         1,
		"rpc_outbound_rejected_total{reason=unreachable,type=PING}":        1,
		"rpc_outbound_bytes_total{part=request,type=PING}":                 5,
		"rpc_outbound_duration_seconds_count{type=PING}":                   2,
	})
	require.NotContains(t, values(t, m), "rpc_outbound_rejected_total{reason=closed,type=PING}")
}

func TestDiskEvents(t *testing.T) {
	m := metrics.New("v1.2.3", "abc")
	m.Housekeeping().Snapshot(time.Second, 0, errors.New("disk full"))
	m.Housekeeping().Expired(time.Second, records.Expired{Records: [records.NumKinds]int64{4, 0}}, errors.New("disk full"))
	m.Storage().Committed(100, time.Second)
	m.Storage().StorageError("put_value", errors.New("disk full"))
	m.Storage().StorageError("brew", errors.New("no coffee"))
	requireValues(t, m, map[string]float64{
		"snapshot_failures_total":                 1,
		"snapshot_last_success_timestamp_seconds": 0,
		"expiry_failures_total":                   1,
		"expiry_last_success_timestamp_seconds":   0,
		"records_expired_total{kind=provider}":    4,
		"db_batch_records_sum":                    100,
		"db_commit_duration_seconds_count":        1,
		"db_errors_total{op=put_value}":           1,
		"db_errors_total{op=other}":               1,
	})
	m.Housekeeping().Snapshot(time.Second, 321, nil)
	m.Housekeeping().Expired(time.Second, records.Expired{}, nil)
	v := values(t, m)
	require.EqualValues(t, 321, v["snapshot_peers"])
	require.InDelta(t, time.Now().Unix(), v["snapshot_last_success_timestamp_seconds"], 5)
	require.InDelta(t, time.Now().Unix(), v["expiry_last_success_timestamp_seconds"], 5)
}

func TestSource(t *testing.T) {
	m := metrics.New("v1.2.3", "abc")
	requireValues(t, m, map[string]float64{"state{state=starting}": 1, "state{state=server}": 0, "reachability{status=unknown}": 1})
	m.Watch(statusOnly(node.Status{}))
	requireValues(t, m, map[string]float64{"state{state=joining}": 1, "bootstrap_first": 0})
	m.Watch(statusOnly(node.Status{Bootstrapped: true}))
	requireValues(t, m, map[string]float64{"state{state=client}": 1, "db_size_bytes": 0, "db_failed": 0, "disk_full": 0})
	cycle := values(t, m)["republish_last_cycle_timestamp_seconds"]
	require.InDelta(t, time.Now().Unix(), cycle, 5)

	m.Watch(busy())
	requireValues(t, m, map[string]float64{
		"state{state=server}": 1, "state{state=client}": 0,
		"reachability{status=public}": 1, "reachability{status=unknown}": 0,
		"routing_table_peers": 30, "routing_table_verified_peers": 25, "routing_table_loaded_peers": 12,
		"routing_table_bucket_peers{cpl=0}": 20, "routing_table_bucket_peers{cpl=5}": 7,
		"routing_table_bucket_peers{cpl=1}": 0, "routing_table_bucket_peers{cpl=32}": 3,
		"bucket_refresh_oldest_timestamp_seconds": 1_700_000_000.5, "network_size_estimate": 1234.5,
		"lookups_in_flight": 3, "requests_in_flight": 17, "lookups_blocked": 1, "probes_in_flight": 4, "probe_candidates": 9,
		"lookups_rejected_total": 2, "probe_candidates_rejected_total": 6,
		"loop_waiting_calls": 11, "loop_rejected_calls_total": 13,
		"rpc_inbound_streams_in_flight": 40, "rpc_outbound_streams_in_flight": 5, "rpc_outbound_streams_idle": 8,
		"connected_peers{dir=inbound}": 14, "connected_peers{dir=outbound}": 15,
		"bootstrap_first":                      1,
		"bootstrap_attempts_total{outcome=ok}": 1, "bootstrap_attempts_total{outcome=failed}": 2,
		"bootstrap_attempts_total{outcome=skipped}": 3,
		"republish_keys{kind=provider}":             7, "republish_keys{kind=value}": 8,
		"republish_in_flight": 8, "republish_overdue_keys": 21,
		"republish_fewest_holders": 22, "republish_fewest_holders_keys": 23,
		"records{kind=value}": 200, "record_bytes{kind=provider}": 1000, "record_providers": 50,
		"db_size_bytes": 1 << 20, "db_free_bytes": 1 << 10, "db_max_bytes": 1 << 30, "db_fill_ratio": 0.75,
		"db_copies_bytes": 24, "db_corrupt_files": 35, "db_failed": 1, "disk_free_bytes": 25, "disk_size_bytes": 26, "disk_full": 1,
		"connections_refused_total{reason=address_limit}": 33, "connections_refused_total{reason=address_rate}": 34,
		"unclean_starts_total": 31, "memory_limit_bytes": 32,
		"quota_limit{quota=bytes}": 1 << 30, "quota_limit{quota=value_bytes}": 10,
		"quota_refusals_total{quota=providers}": 19, "quota_refusals_total{quota=addresses_per_provider}": 20, "quota_refusals_total{quota=bytes}": 0,
		"db_pending_writes": 16, "db_writes_rejected_total": 18,
	})
	require.InDelta(t, cycle, values(t, m)["republish_last_cycle_timestamp_seconds"], 5)
	m.Watch(statusOnly(node.Status{Bootstrapped: true, Serving: true, IsolatedSince: time.Now()}))
	requireValues(t, m, map[string]float64{"state{state=isolated}": 1, "state{state=server}": 0})
	damaged := &fixed{sizes: storage.Sizes{File: 1}, unread: errors.New("damaged")}
	m.Watch(metrics.Source{Node: damaged, Database: damaged})
	requireValues(t, m, map[string]float64{"db_size_bytes": 0})
	m.Stopping()
	requireValues(t, m, map[string]float64{"state{state=stopping}": 1, "state{state=isolated}": 0})
}

func TestConfigLoaded(t *testing.T) {
	m := metrics.New("v1.2.3", "abc")
	at := values(t, m)["config_last_reload_success_timestamp_seconds"]
	require.InDelta(t, time.Now().Unix(), at, 5)
	requireValues(t, m, map[string]float64{"config_last_reload_successful": 1})
	m.ConfigLoaded(errors.New("line 3"))
	requireValues(t, m, map[string]float64{"config_last_reload_successful": 0, "config_last_reload_success_timestamp_seconds": at})
	m.ConfigLoaded(nil)
	requireValues(t, m, map[string]float64{"config_last_reload_successful": 1})
}

// TestHandler checks that one page contains our metrics, those of the runtime and those that
// others registered.
func TestHandler(t *testing.T) {
	m := metrics.New("v1.2.3", "abc")
	other := prometheus.NewCounter(prometheus.CounterOpts{Name: "libp2p_something_total", Help: "Of another library."})
	m.Registerer().MustRegister(other)
	for range 2 { // it may be requested twice
		rec := httptest.NewRecorder()
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", nil)
		require.NoError(t, err)
		m.Handler().ServeHTTP(rec, req)
		require.Equal(t, http.StatusOK, rec.Code)
		page := rec.Body.String()
		for _, line := range []string{
			"\nlibp2p_something_total 0\n", "\ngo_goroutines ", "\nprocess_start_time_seconds ", "\ngo_build_info{",
			"\npromhttp_metric_handler_requests_in_flight ", "\nholdfast_state{state=\"starting\"} 1\n",
		} {
			require.Contains(t, page, line)
		}
		require.Contains(t, page, `revision="abc",version="v1.2.3"} 1`)
	}
}

// TestConcurrent is meant for the race detector.
func TestConcurrent(t *testing.T) {
	m := metrics.New("v1.2.3", "abc")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() { observe(m, 300) })
		wg.Go(func() {
			for range 10 {
				m.Watch(statusOnly(node.Status{TablePeers: rand.IntN(100)}))
				_, err := m.Gatherer().Gather()
				require.NoError(t, err)
			}
			if g == 3 {
				m.Stopping()
				m.ConfigLoaded(nil)
			}
		})
	}
	wg.Wait()
	requireValues(t, m, map[string]float64{"db_errors_total{op=other}": 1200})
}

// A Source without a node, of a program that has only a database, is read like one before
// its start.
func TestSourceWithoutANode(t *testing.T) {
	m := metrics.New("v1.2.3", "abc")
	m.Watch(metrics.Source{})
	got := values(t, m)
	require.Equal(t, 1.0, got["state{state=starting}"])
	require.Zero(t, got["routing_table_peers"])
}
