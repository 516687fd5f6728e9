package metrics

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// The states of a node; one of them is 1.
const (
	stateStarting = "starting" // there is no node yet
	stateJoining  = "joining"  // no restored table, bootstrap not attempted yet
	stateClient   = "client"   // asks, does not serve
	stateServer   = "server"
	stateIsolated = "isolated" // had peers, and none answers
	stateStopping = "stopping"
)

var states = []string{stateStarting, stateJoining, stateClient, stateServer, stateIsolated, stateStopping}

// maxCPL is the deepest bucket with a label of its own: 2^32 peers would be
// needed to fill it. Peers in deeper ones, which somebody must have made on
// purpose, are counted there.
const maxCPL = 32

// family is a metric whose values are read at each scrape.
type family struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	read       func(s *scrape, emit func(v float64, labels ...string))
}

// value makes a family of one gauge.
func value(name, help string, read func(s *scrape) float64) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue,
		read: func(s *scrape, emit func(float64, ...string)) { emit(read(s)) }}
}

// total makes a family of one counter.
func total(name, help string, read func(s *scrape) uint64) family {
	return family{name: name, help: help, kind: prometheus.CounterValue,
		read: func(s *scrape, emit func(float64, ...string)) { emit(float64(read(s))) }}
}

// byKind makes a family of one gauge for each kind of record.
func byKind(name, help string, read func(s *scrape) [records.NumKinds]int64) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue, labels: []string{"kind"},
		read: func(s *scrape, emit func(float64, ...string)) {
			for k, v := range read(s) {
				emit(float64(v), records.Kind(k).String())
			}
		}}
}

// byQuota makes a family of one value for each quota.
func byQuota(name, help string, kind prometheus.ValueType, read func(s *scrape) [records.NumQuotas]int64) family {
	return family{name: name, help: help, kind: kind, labels: []string{"quota"},
		read: func(s *scrape, emit func(float64, ...string)) {
			for q, v := range read(s) {
				emit(float64(v), records.Quota(q).String())
			}
		}}
}

// oneOf makes a family of which one label value is 1, the others are 0.
func oneOf(name, help, label string, all []string, read func(s *scrape) string) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue, labels: []string{label},
		read: func(s *scrape, emit func(float64, ...string)) {
			now := read(s)
			for _, l := range all {
				emit(float64(index(l == now)), l)
			}
		}}
}

var families = []family{
	oneOf("state", "What the node is up to (starting, joining, client, server, isolated, stopping): the state it is in has 1, the others 0.", "state", states,
		func(s *scrape) string { return s.state }),
	oneOf("reachability", "Whether others can reach the node as far as it knows (public, private, unknown): one has 1, the others 0.", "status",
		[]string{"public", "private", "unknown"}, reachability),

	value("routing_table_peers", "Peers in the routing table.", func(s *scrape) float64 { return float64(s.TablePeers) }),
	value("routing_table_verified_peers", "Peers in the routing table that have answered.", func(s *scrape) float64 { return float64(s.VerifiedPeers) }),
	value("routing_table_loaded_peers", "Peers taken from the snapshot at start.", func(s *scrape) float64 { return float64(s.RestoredPeers) }),
	{name: "routing_table_bucket_peers", help: "Peers by their common prefix with this node in bits; 32 stands for 32 and more.",
		kind: prometheus.GaugeValue, labels: []string{"cpl"}, read: buckets},
	value("bucket_refresh_oldest_timestamp_seconds", "When the bucket was refreshed that has waited longest; 0: one never was, or the table is empty.",
		func(s *scrape) float64 { return seconds(s.OldestRefresh) }),
	value("network_size_estimate", "Estimated number of servers in the network; 0: unknown.", func(s *scrape) float64 { return s.NetworkSize }),

	value("requests_in_flight", "Requests of lookups, stores and probes that wait for an answer.", func(s *scrape) float64 { return float64(s.Load.Requests) }),
	value("lookups_in_flight", "Queries that run now.", func(s *scrape) float64 { return float64(s.Load.Queries) }),
	value("lookups_blocked", "Queries that wait because too many requests are in flight.", func(s *scrape) float64 { return float64(s.Load.Blocked) }),
	value("probes_in_flight", "Probes that wait for an answer.", func(s *scrape) float64 { return float64(s.Load.Probes) }),
	value("probe_candidates", "Peers that wait for a probe.", func(s *scrape) float64 { return float64(s.Load.Candidates) }),
	total("lookups_rejected_total", "Queries refused because too many ran.", func(s *scrape) uint64 { return s.Load.RefusedQueries }),
	total("probe_candidates_rejected_total", "Peers heard of and not remembered because too many waited for a probe.",
		func(s *scrape) uint64 { return s.Load.DroppedCandidates }),
	value("loop_waiting_calls", "Calls that wait for the goroutine that owns the protocol.", func(s *scrape) float64 { return float64(s.Load.WaitingCalls) }),
	total("loop_rejected_calls_total", "News of peers dropped because too many calls waited for the goroutine that owns the protocol.",
		func(s *scrape) uint64 { return s.Load.DroppedCalls }),
	value("rpc_inbound_streams_in_flight", "Open streams on which peers send requests.", func(s *scrape) float64 { return float64(s.Load.InboundStreams) }),
	value("rpc_outbound_streams_in_flight", "Streams to peers in use.", func(s *scrape) float64 { return float64(s.Load.OutboundStreams) }),
	value("rpc_outbound_streams_idle", "Streams to peers kept for the next request.", func(s *scrape) float64 { return float64(s.Load.IdleStreams) }),

	{name: "connected_peers", help: "Connected peers by the direction of their oldest connection.",
		kind: prometheus.GaugeValue, labels: []string{"dir"},
		read: func(s *scrape, emit func(float64, ...string)) {
			emit(float64(s.ConnectedIn), "inbound")
			emit(float64(s.Connected-s.ConnectedIn), "outbound")
		}},
	{name: "bootstrap_attempts_total", help: "Attempts to reach the bootstrap peers: at least one reached (ok), none (failed), none configured (skipped).",
		kind: prometheus.CounterValue, labels: []string{"outcome"},
		read: func(s *scrape, emit func(float64, ...string)) {
			emit(float64(s.Bootstraps.Reached), "ok")
			emit(float64(s.Bootstraps.Failed), "failed")
			emit(float64(s.Bootstraps.Skipped), "skipped")
		}},

	byKind("republish_keys", "Keys this node publishes.", func(s *scrape) [records.NumKinds]int64 { return s.Records.Published }),
	value("republish_in_flight", "Keys being republished.", func(s *scrape) float64 { return float64(s.Republish.Active) }),
	value("republish_overdue_keys", "Keys whose republication is due and has not begun.", func(s *scrape) float64 { return float64(s.Republish.Overdue) }),
	value("republish_fewest_holders", "Peers that took the published key with the fewest holders, when it was last tried.", func(s *scrape) float64 { return float64(s.Republish.Holders.Fewest) }),
	value("republish_fewest_holders_keys", "Published keys with as few holders as holdfast_republish_fewest_holders says; 0: no key was tried since the start.", func(s *scrape) float64 { return float64(s.Republish.Holders.FewestKeys) }),

	byKind("records", "Records stored; an upper bound of those still valid.", func(s *scrape) [records.NumKinds]int64 { return s.Records.Records }),
	byKind("record_bytes", "Estimated size of the records stored.", func(s *scrape) [records.NumKinds]int64 { return s.Records.Bytes }),
	value("record_providers", "Distinct peers in the provider records.", func(s *scrape) float64 { return float64(s.Records.Providers) }),

	byQuota("quota_limit", "What others may have stored here at most, by quota: bytes or numbers.", prometheus.GaugeValue,
		func(s *scrape) [records.NumQuotas]int64 { return s.quotas }),
	byQuota("quota_refusals_total", "Records of others that a quota refused; of addresses_per_provider: that it cut.", prometheus.CounterValue,
		func(s *scrape) [records.NumQuotas]int64 { return s.Records.Refused }),

	value("db_size_bytes", "Size of the database, all its files together.", func(s *scrape) float64 { return float64(s.sizes.File) }),
	value("db_max_bytes", "Size that the database may reach, storage.max_bytes: a half for provider records, a half for everything else. New records are refused shortly before it.",
		func(s *scrape) float64 { return float64(s.quotas[records.QuotaBytes]) }),
	value("db_free_bytes", "Part of the database that will be used again before it grows.", func(s *scrape) float64 { return float64(s.sizes.Free) }),
	value("db_fill_ratio", "Part of its room for new records that the fullest file of the database has taken; at 1 new records are refused.",
		func(s *scrape) float64 { return s.sizes.Fill }),
	value("db_copies_bytes", "Size of the old copies of the database that repairs, restores and changes of the schema left beside it.", func(s *scrape) float64 { return float64(s.copiesSize) }),
	value("db_failed", "1 after a failed fsync: the database takes no more writes until the node is restarted; else 0.",
		func(s *scrape) float64 { return float64(index(s.failed)) }),
	value("disk_size_bytes", "Size of the file system that the database is on; 0: unknown.", func(s *scrape) float64 { return float64(s.sizes.Disk.Total) }),
	value("disk_free_bytes", "Space that the node may still use on the file system that the database is on.", func(s *scrape) float64 { return float64(s.sizes.Disk.Free) }),
	value("disk_full", "1 while the file system that the database is on is full: new records are refused and nothing can be published; else 0.",
		func(s *scrape) float64 { return float64(index(s.diskFull)) }),
	value("db_pending_writes", "Writes that wait for a transaction.", func(s *scrape) float64 { return float64(s.Records.PendingWrites) }),
	total("db_writes_rejected_total", "Writes refused because the queue, a quota or the file was full.",
		func(s *scrape) uint64 { return uint64(s.Records.RefusedWrites) }),
}

func reachability(s *scrape) string {
	switch r := strings.ToLower(s.Reachability); r {
	case "public", "private":
		return r
	}
	return "unknown"
}

func buckets(s *scrape, emit func(float64, ...string)) {
	var peers [maxCPL + 1]int
	for _, b := range s.Buckets {
		peers[min(b.CPL, maxCPL)] += b.Peers
	}
	for cpl, n := range peers {
		emit(float64(n), strconv.Itoa(cpl))
	}
}
