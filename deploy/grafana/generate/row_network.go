package main

var routingTable = row{title: "Routing table", panels: []panel{
	{
		kind: heat, width: 12, title: "Peers by bucket", unit: "none", top: 20,
		description: "How full each bucket is, averaged over the selected nodes. Rows are common prefix lengths with the node's own key in bits; 20 is full. In a healthy table the low rows are full. Each further row covers half as many peers, and the rows end near log2 of the network size. A row that fades means that the node is losing the peers of that part of the keyspace.",
		queries: []query{{
			`avg by (cpl) (label_replace(holdfast_routing_table_bucket_peers{@}, "cpl", "0$1", "cpl", "(.)"))`, "{{cpl}}",
		}},
	},
	{
		kind: lines, width: 12, title: "Peers in the table", unit: "none",
		description: "All peers in the routing table, and those whose last request succeeded: only these are sent to other peers. A gap between the two means that those peers, or the node's own uplink, are down.",
		alerts:      []string{"RoutingTableLow", "RoutingTableCollapse"},
		steps:       below(1, 10),
		queries: []query{
			{"holdfast_routing_table_verified_peers{@}", "{{instance}} verified"},
			{"holdfast_routing_table_peers{@}", "{{instance}} all"},
		},
	},
	{
		kind: stacked, title: "Routing table changes", unit: "cps",
		description: "Peers that were added, evicted, kept as replacements, promoted from there, or rejected. Many evictions together with many additions are churn in the network.",
		queries:     rates("holdfast_routing_table_changes_total", "action"),
	},
	{
		kind: stacked, title: "Probes", unit: "reqps",
		description: "Probes of candidates and of long silent peers, by outcome. Candidates named by other peers fail often; if most probes of table peers fail, the table is shrinking.",
		queries:     rates("holdfast_probes_total", "outcome"),
	},
	{
		kind: lines, title: "Probe queue", unit: "none",
		description: "Candidates in the queue, and probes in flight. Both are limited; a queue that stays long means that the network has many dead addresses.",
		queries: []query{
			{"holdfast_probe_candidates{@}", "{{instance}} candidates"},
			{"holdfast_probes_in_flight{@}", "{{instance}} probes in flight"},
		},
	},
	{
		kind: stacked, title: "Bucket refreshes", unit: "ops",
		description: "Lookups that keep the buckets filled, by outcome: one per bucket every refresh.interval, 10 minutes by default.",
		queries:     rates("holdfast_bucket_refreshes_total", "outcome"),
	},
	{
		kind: lines, title: "Oldest bucket refresh", unit: "s",
		description: "Age of the least recently refreshed bucket. A sawtooth between 0 and a little over refresh.interval; absent until every bucket has been refreshed once.",
		queries:     []query{{"time() - (holdfast_bucket_refresh_oldest_timestamp_seconds{@} > 0)", "{{instance}}"}},
	},
	{
		kind: lines, title: "Network size", unit: "short",
		description: "Number of servers in the network, estimated from the distances of the closest peers; 0 until the first lookup.",
		queries:     []query{{"holdfast_network_size_estimate{@}", "{{instance}}"}},
	},
	{
		kind: stacked, title: "Connected peers by direction", unit: "none",
		description: "Peers with an open connection, by direction of the oldest connection. A server without inbound connections cannot be reached by others.",
		queries:     []query{{"holdfast_connected_peers{@}", "{{instance}} {{dir}}"}},
	},
	{
		kind: lines, title: "Bootstrap and restart", unit: "none",
		description: "Peers restored from the snapshot at the last start, the outcome of their probes, and attempts to reach the bootstrap peers. With a good snapshot no bootstrap is needed. The first node of a network, which may have no peers, is marked as such.",
		queries: []query{
			{"holdfast_routing_table_loaded_peers{@}", "{{instance}} restored from the snapshot"},
			{"holdfast_routing_table_restored_peers{@}", "{{instance}} restored: {{result}}"},
			{"increase(holdfast_bootstrap_attempts_total{@}[@])", "{{instance}} bootstrap: {{outcome}}"},
			{"holdfast_bootstrap_first{@} == 1", "{{instance}} first of its network"},
		},
	},
	{
		kind: lines, title: "Snapshot age", unit: "s",
		description: "Time since the table was saved, or since the start. It is saved every minute if it has changed and every ten minutes otherwise, as long as any peer answers.",
		alerts:      []string{"SnapshotStale"},
		steps:       []step{{0, "green"}, {3600, "orange"}},
		queries: []query{{
			"time() - (holdfast_snapshot_last_success_timestamp_seconds{@} > 0 or process_start_time_seconds{@})", "{{instance}}",
		}},
	},
	{
		kind: lines, title: "Peers in the snapshot", unit: "none",
		description: "Peers that the node would restore at a restart.",
		queries:     []query{{"holdfast_snapshot_peers{@}", "{{instance}}"}},
	},
}}

var lookups = row{title: "Lookups", section: "lookups", panels: []panel{
	{
		kind: stacked, title: "Lookups by purpose", unit: "ops",
		description: "Finished lookups and stores. refresh is the node's own table upkeep; correct sends a better value to holders of a worse one.",
		queries:     rates("holdfast_lookups_total", "op"),
	},
	{
		kind: stacked, title: "Lookups by outcome", unit: "ops",
		description: "ok; not_found: no peer has the record; failed: no peer answered, or none stored the record; cancelled: by the caller.",
		alerts:      []string{"LookupFailureRatio"},
		queries:     rates("holdfast_lookups_total", "outcome"),
	},
	{
		kind: lines, title: "Lookups in flight", unit: "none",
		description: "Running lookups, and lookups that wait because 192 requests are in flight. Lookups that wait for long mean that the node is overloaded.",
		queries: []query{
			{"holdfast_lookups_in_flight{@}", "{{instance}} running"},
			{"holdfast_lookups_blocked{@}", "{{instance}} waiting"},
		},
	},
	{
		kind: lines, title: "Lookup duration, p95", unit: "s",
		description: "95th percentile, stores included. Finding takes a few round trips; storing asks all 20 closest peers and takes longer.",
		queries:     p95("holdfast_lookup_duration_seconds", "op"),
	},
	{
		kind: lines, title: "Hops per lookup", unit: "none",
		description: "Longest chain of answers that led to one of the closest peers. A handful; it grows with the logarithm of the network size.",
		queries:     quantiles("holdfast_lookup_hops"),
	},
	{
		kind: lines, title: "Peers asked per lookup", unit: "none",
		description: "Number of peers that one lookup asked. Rises with the share of dead peers in the routing tables of the network.",
		queries:     quantiles("holdfast_lookup_peers_queried"),
	},
}}

var inbound = row{title: "RPC in: requests from other peers", panels: []panel{
	{
		kind: stacked, title: "Inbound requests by type", unit: "reqps",
		description: "Requests from peers. UNKNOWN are streams that ended before a request could be read.",
		alerts:      []string{"NoInboundRPC"},
		queries:     rates("holdfast_rpc_inbound_requests_total", "type"),
	},
	{
		kind: stacked, title: "Inbound requests by outcome", unit: "reqps",
		description: "reply; no_reply: the request has none; rejected: see the panel with the reasons; error, timeout: the peer or the connection failed; cancelled: the node was stopping.",
		queries:     rates("holdfast_rpc_inbound_requests_total", "outcome"),
	},
	{
		kind: stacked, title: "Inbound requests rejected, by reason", unit: "reqps",
		description: "older_record is normal. too_many_streams, idle_stream, memory, rate_limited, quota and busy mean that a limit of this node was reached; storage is a failure of this node's database; all others are errors of the peer.",
		queries:     rates("holdfast_rpc_inbound_rejected_total", "reason"),
	},
	{
		kind: lines, title: "Inbound request duration, p95", unit: "s",
		description: "95th percentile. Reads come from memory or the page cache; PUT_VALUE and ADD_PROVIDER may wait for a commit.",
		queries:     p95("holdfast_rpc_inbound_duration_seconds", "type"),
	},
	{
		kind: lines, title: "Inbound RPC traffic", unit: "Bps",
		description: "Bytes of requests and replies, without the overhead of the transport.",
		queries:     rates("holdfast_rpc_inbound_bytes_total", "part"),
	},
	{
		kind: lines, title: "Inbound RPC streams", unit: "none",
		description: "Open streams on which peers send requests. Limited for each peer and in total.",
		queries:     []query{{"holdfast_rpc_inbound_streams_in_flight{@}", "{{instance}}"}},
	},
}}

var outbound = row{title: "RPC out: requests to other peers", panels: []panel{
	{
		kind: stacked, title: "Outbound requests by type", unit: "reqps",
		description: "Requests to peers. FIND_NODE comes from lookups and table upkeep, the others from users and from republishing.",
		queries:     rates("holdfast_rpc_outbound_requests_total", "type"),
	},
	{
		kind: stacked, title: "Outbound requests by outcome", unit: "reqps",
		description: "Timeouts and errors are peers that have left; on a public network one in five is normal.",
		queries:     rates("holdfast_rpc_outbound_requests_total", "outcome"),
	},
	{
		kind: stacked, title: "Outbound requests failed, by reason", unit: "reqps",
		description: "unreachable: no connection; unsupported: the peer does not serve the protocol; ended: the peer closed the stream, which is also how a peer rejects a request.",
		queries:     rates("holdfast_rpc_outbound_rejected_total", "reason"),
	},
	{
		kind: lines, title: "Outbound request duration, p95", unit: "s",
		description: "On an open connection: the round trip and the work of the peer.",
		queries:     p95("holdfast_rpc_outbound_duration_seconds", "type"),
	},
	{
		kind: lines, title: "Outbound RPC traffic", unit: "Bps",
		description: "Bytes of requests and replies, without the overhead of the transport.",
		queries:     rates("holdfast_rpc_outbound_bytes_total", "part"),
	},
	{
		kind: lines, title: "Outbound RPC streams", unit: "none",
		description: "Streams in use, and idle streams kept open for the next request to the same peer.",
		queries: []query{
			{"holdfast_rpc_outbound_streams_in_flight{@}", "{{instance}} in use"},
			{"holdfast_rpc_outbound_streams_idle{@}", "{{instance}} idle"},
		},
	},
	{
		kind: stacked, title: "Requests by purpose", unit: "reqps",
		description: "Requests of lookups, stores and probes, by outcome.",
		queries:     []query{{"rate(holdfast_requests_total{@}[@])", "{{instance}} {{role}} {{outcome}}"}},
	},
	{
		kind: lines, title: "Request duration by purpose, p95", unit: "s",
		description: "From the decision to send a request to the answer or failure, the dial included. A lookup moves on to another peer after one second and gives up on a peer after ten.",
		queries:     p95("holdfast_request_duration_seconds", "role"),
	},
	{
		kind: lines, title: "Requests in flight", unit: "none",
		description: "Requests that wait for an answer; at most 256 per node, 64 of them probes.",
		queries:     []query{{"holdfast_requests_in_flight{@}", "{{instance}}"}},
	},
}}
