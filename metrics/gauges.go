package metrics

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// The states of a node. The current state has the value 1.
const (
	stateStarting = "starting" // there is no node yet
	stateJoining  = "joining"  // no snapshot restored, no bootstrap attempt yet
	stateClient   = "client"   // sends requests but does not serve
	stateServer   = "server"
	stateIsolated = "isolated" // had peers, but none answers
	stateStopping = "stopping"
)

var states = []string{stateStarting, stateJoining, stateClient, stateServer, stateIsolated, stateStopping}

// maxCPL is the deepest bucket with a label of its own: filling it would need 2^32 peers.
// Peers in deeper buckets, which must have been created on purpose, are counted there.
const maxCPL = 32

// family is a metric whose value is read at each scrape.
type family struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	read       func(s *scrape, emit func(v float64, labels ...string))
}

// value returns a family with one gauge.
func value(name, help string, read func(s *scrape) float64) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue,
		read: func(s *scrape, emit func(float64, ...string)) { emit(read(s)) }}
}

// total returns a family with one counter.
func total(name, help string, read func(s *scrape) uint64) family {
	return family{name: name, help: help, kind: prometheus.CounterValue,
		read: func(s *scrape, emit func(float64, ...string)) { emit(float64(read(s))) }}
}

// byKind returns a family with one gauge per kind of record.
func byKind(name, help string, read func(s *scrape) [records.NumKinds]int64) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue, labels: []string{"kind"},
		read: func(s *scrape, emit func(float64, ...string)) {
			for k, v := range read(s) {
				emit(float64(v), records.Kind(k).String())
			}
		}}
}

// byQuota returns a family with one value per quota.
func byQuota(name, help string, kind prometheus.ValueType, read func(s *scrape) [records.NumQuotas]int64) family {
	return family{name: name, help: help, kind: kind, labels: []string{"quota"},
		read: func(s *scrape, emit func(float64, ...string)) {
			for q, v := range read(s) {
				emit(float64(v), records.Quota(q).String())
			}
		}}
}

// oneOf returns a family in which one label value is 1 and the others are 0.
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
	oneOf("state", "State of the node (starting, joining, client, server, isolated, stopping): the current state has 1, the others 0.", "state", states,
		func(s *scrape) string { return s.state }),
	oneOf("reachability", "Reachability of the node for other peers, as far as it knows (public, private, unknown): the current one has 1, the others 0.", "status",
		[]string{"public", "private", "unknown"}, reachability),

	value("routing_table_peers", "Peers in the routing table.", func(s *scrape) float64 { return float64(s.TablePeers) }),
	value("routing_table_verified_peers", "Peers in the routing table that have answered.", func(s *scrape) float64 { return float64(s.VerifiedPeers) }),
	value("routing_table_loaded_peers", "Peers loaded from the snapshot at start.", func(s *scrape) float64 { return float64(s.RestoredPeers) }),
	{name: "routing_table_bucket_peers", help: "Peers by the length of their common prefix with this node in bits; 32 means 32 or more.",
		kind: prometheus.GaugeValue, labels: []string{"cpl"}, read: buckets},
	value("bucket_refresh_oldest_timestamp_seconds", "Time of the last refresh of the bucket that has waited longest; 0: a bucket was never refreshed, or the table is empty.",
		func(s *scrape) float64 { return seconds(s.OldestRefresh) }),
	value("network_size_estimate", "Estimated number of servers in the network; 0: unknown.", func(s *scrape) float64 { return s.NetworkSize }),

	value("requests_in_flight", "Requests of lookups, stores and probes that are waiting for an answer.", func(s *scrape) float64 { return float64(s.Load.Requests) }),
	value("lookups_in_flight", "Running queries.", func(s *scrape) float64 { return float64(s.Load.Queries) }),
	value("lookups_blocked", "Queries that are waiting because too many requests are in flight.", func(s *scrape) float64 { return float64(s.Load.Blocked) }),
	value("probes_in_flight", "Probes that are waiting for an answer.", func(s *scrape) float64 { return float64(s.Load.Probes) }),
	value("probe_candidates", "Peers that are waiting for a probe.", func(s *scrape) float64 { return float64(s.Load.Candidates) }),
	total("lookups_rejected_total", "Queries refused because too many were running.", func(s *scrape) uint64 { return s.Load.RefusedQueries }),
	total("probe_candidates_rejected_total", "Candidate peers dropped because too many were waiting for a probe.",
		func(s *scrape) uint64 { return s.Load.DroppedCandidates }),
	value("loop_waiting_calls", "Calls that are waiting for the goroutine that owns the protocol.", func(s *scrape) float64 { return float64(s.Load.WaitingCalls) }),
	total("loop_rejected_calls_total", "Reports about peers dropped because too many calls were waiting for the goroutine that owns the protocol.",
		func(s *scrape) uint64 { return s.Load.DroppedCalls }),
	value("rpc_inbound_streams_in_flight", "Open streams on which peers send requests.", func(s *scrape) float64 { return float64(s.Load.InboundStreams) }),
	value("rpc_outbound_streams_in_flight", "Streams to peers that are in use.", func(s *scrape) float64 { return float64(s.Load.OutboundStreams) }),
	value("rpc_outbound_streams_idle", "Idle streams to peers, kept for the next request.", func(s *scrape) float64 { return float64(s.Load.IdleStreams) }),

	{name: "connected_peers", help: "Connected peers by the direction of their oldest connection.",
		kind: prometheus.GaugeValue, labels: []string{"dir"},
		read: func(s *scrape, emit func(float64, ...string)) {
			emit(float64(s.ConnectedIn), "inbound")
			emit(float64(s.Connected-s.ConnectedIn), "outbound")
		}},
	{name: "connections_refused_total", help: "Connections refused because of their address: too many with it were open (address_limit, see limits.connections_per_address), or too many came from it within a short time (address_rate).",
		kind: prometheus.CounterValue, labels: []string{"reason"},
		read: func(s *scrape, emit func(float64, ...string)) {
			emit(float64(s.refused.Limit), RefusedLimit)
			emit(float64(s.refused.Rate), RefusedRate)
		}},
	value("bootstrap_first", "1 if the node is the first of its network (network.bootstrap_role), which may have no peers; otherwise 0.",
		func(s *scrape) float64 { return float64(index(s.first)) }),
	{name: "bootstrap_attempts_total", help: "Attempts to reach the bootstrap peers: at least one reached (ok), none reached (failed), none configured (skipped).",
		kind: prometheus.CounterValue, labels: []string{"outcome"},
		read: func(s *scrape, emit func(float64, ...string)) {
			emit(float64(s.Bootstraps.Reached), "ok")
			emit(float64(s.Bootstraps.Failed), "failed")
			emit(float64(s.Bootstraps.Skipped), "skipped")
		}},

	byKind("republish_keys", "Keys this node publishes.", func(s *scrape) [records.NumKinds]int64 { return s.Records.Published }),
	value("republish_in_flight", "Keys being republished.", func(s *scrape) float64 { return float64(s.Republish.Active) }),
	value("republish_overdue_keys", "Keys that are due for republishing but have not been started.", func(s *scrape) float64 { return float64(s.Republish.Overdue) }),
	{name: "republish_unannounced_keys", help: "Keys that were never published: not tried yet since the start (waiting), or tried, and too few peers stored them (failed).",
		kind: prometheus.GaugeValue, labels: []string{"outcome"},
		read: func(s *scrape, emit func(float64, ...string)) {
			emit(float64(s.Republish.Unannounced-s.Republish.UnannouncedFailed), "waiting")
			emit(float64(s.Republish.UnannouncedFailed), "failed")
		}},
	value("republish_fewest_holders", "Number of peers that stored the published key with the fewest holders at its last attempt.", func(s *scrape) float64 { return float64(s.Republish.Holders.Fewest) }),
	value("republish_fewest_holders_keys", "Published keys with exactly holdfast_republish_fewest_holders holders; 0: no key has been republished since the start.", func(s *scrape) float64 { return float64(s.Republish.Holders.FewestKeys) }),

	byKind("records", "Stored records; an upper bound of the live ones.", func(s *scrape) [records.NumKinds]int64 { return s.Records.Records }),
	byKind("record_bytes", "Estimated size of the stored records.", func(s *scrape) [records.NumKinds]int64 { return s.Records.Bytes }),
	value("record_providers", "Distinct peers in the stored provider records.", func(s *scrape) float64 { return float64(s.Records.Providers) }),

	byQuota("quota_limit", "Limit of what others may store here, by quota, in bytes or as a number.", prometheus.GaugeValue,
		func(s *scrape) [records.NumQuotas]int64 { return s.quotas }),
	byQuota("quota_refusals_total", "Records of others that a quota refused; for addresses_per_provider: whose addresses it truncated.", prometheus.CounterValue,
		func(s *scrape) [records.NumQuotas]int64 { return s.Records.Refused }),

	value("db_size_bytes", "Size of the database (all files).", func(s *scrape) float64 { return float64(s.sizes.File) }),
	value("db_max_bytes", "Maximum size of the database (storage.max_bytes): one half for provider records, the other for everything else. New records are refused shortly before the limit.",
		func(s *scrape) float64 { return float64(s.quotas[records.QuotaBytes]) }),
	value("db_free_bytes", "Free part of the database that is reused before the database grows.", func(s *scrape) float64 { return float64(s.sizes.Free) }),
	value("db_fill_ratio", "Used fraction of the fullest database file's capacity for new records; at 1 new records are refused.",
		func(s *scrape) float64 { return s.sizes.Fill }),
	value("db_copies_bytes", "Size of the old copies of the database that repairs, restores and migrations left beside it.", func(s *scrape) float64 { return float64(s.copiesSize) }),
	value("db_corrupt_files", "Damaged files of the database that a start or a repair moved aside, and that were not removed yet: published keys and records may be lost.",
		func(s *scrape) float64 { return float64(s.corrupt) }),
	value("db_failed", "1 after a failed fsync: the database refuses writes until the node is restarted; otherwise 0.",
		func(s *scrape) float64 { return float64(index(s.failed)) }),
	value("disk_size_bytes", "Size of the file system that contains the database; 0: unknown.", func(s *scrape) float64 { return float64(s.sizes.Disk.Total) }),
	value("disk_free_bytes", "Free space for the node on the file system that contains the database.", func(s *scrape) float64 { return float64(s.sizes.Disk.Free) }),
	value("disk_full", "1 while the file system that contains the database is full: new records may be refused and publishing may fail; otherwise 0.",
		func(s *scrape) float64 { return float64(index(s.diskFull)) }),
	value("db_pending_writes", "Writes that are waiting for a transaction.", func(s *scrape) float64 { return float64(s.Records.PendingWrites) }),
	total("db_writes_rejected_total", "Writes refused because the queue, a quota or the file was full.",
		func(s *scrape) uint64 { return uint64(s.Records.RefusedWrites) }),

	total("unclean_starts_total", "Starts after a crash, a kill or a power cut, since the data directory was created.",
		func(s *scrape) uint64 { return uint64(s.uncleanStarts) }),
	value("memory_limit_bytes", "Memory that the process may use: the smallest limit of its control groups, or the memory of the machine; 0: unknown.",
		func(s *scrape) float64 { return float64(s.memoryLimit) }),
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
