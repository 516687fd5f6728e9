package dashboard

var routingTable = row{"Routing table", []panel{
	{
		kind: heat, width: 12, title: "Peers by bucket", unit: "none", top: 20,
		description: "How full each bucket is, on average of the nodes chosen: rows are common prefix lengths with the node's own key in bits, 20 is full. The low rows are full in a healthy table; each further row halves what the network has to offer, and the picture ends near log2 of its size. A row that fades is a part of the keyspace that the node loses sight of.",
		queries: []query{{
			`avg by (cpl) (label_replace(holdfast_routing_table_bucket_peers{@}, "cpl", "0$1", "cpl", "(.)"))`, "{{cpl}}",
		}},
	},
	{
		kind: lines, width: 12, title: "Peers in the table", unit: "none",
		description: "All peers of the routing table, and those whose last exchange succeeded: only these are told to others. A gap between the two is an outage of them or of the node's own uplink.",
		queries: []query{
			{"holdfast_routing_table_verified_peers{@}", "{{instance}} verified"},
			{"holdfast_routing_table_peers{@}", "{{instance}} all"},
		},
	},
	{
		kind: stacked, title: "Changes of the table", unit: "cps",
		description: "Peers that entered, left, were kept as replacements, took a place from there, or were turned away. Many evictions with many additions are churn of the network.",
		queries:     rates("holdfast_routing_table_changes_total", "action"),
	},
	{
		kind: stacked, title: "Probes", unit: "reqps",
		description: "Probes of candidates and of peers long silent, by how they ended. Candidates that others recommend fail often; a table in which most fail is being emptied.",
		queries:     rates("holdfast_probes_total", "outcome"),
	},
	{
		kind: lines, title: "Waiting for a probe", unit: "none",
		description: "Candidates in the queue, and probes on their way. Both are bounded; a queue that stays long is a network with many dead addresses.",
		queries: []query{
			{"sum(holdfast_probe_candidates{@})", "candidates"},
			{"sum(holdfast_probes_in_flight{@})", "probes in flight"},
		},
	},
	{
		kind: stacked, title: "Bucket refreshes", unit: "ops",
		description: "Lookups that keep the buckets filled, by how they ended: each bucket every refresh.interval, 10 minutes by default.",
		queries:     rates("holdfast_bucket_refreshes_total", "outcome"),
	},
	{
		kind: lines, title: "Oldest bucket refresh", unit: "s",
		description: "Age of the bucket refreshed longest ago. It saws between 0 and a little over refresh.interval; absent until every bucket was refreshed once.",
		queries:     []query{{"time() - (holdfast_bucket_refresh_oldest_timestamp_seconds{@} > 0)", "{{instance}}"}},
	},
	{
		kind: lines, title: "Network size", unit: "short",
		description: "Servers in the network as estimated from the distances of the closest peers; 0 until there was a lookup to estimate from.",
		queries:     []query{{"holdfast_network_size_estimate{@}", "{{instance}}"}},
	},
	{
		kind: stacked, title: "Connected peers by direction", unit: "none",
		description: "Peers with an open connection, by who opened the oldest one. No inbound ones on a server: others cannot reach it.",
		queries:     []query{{"sum by (dir) (holdfast_connected_peers{@})", "{{dir}}"}},
	},
	{
		kind: lines, title: "Bootstrap and restart", unit: "none",
		description: "Peers taken from the snapshot at the last start and how their probes ended; attempts to reach the bootstrap peers. With a good snapshot no bootstrap is needed.",
		queries: []query{
			{"sum(holdfast_routing_table_loaded_peers{@})", "restored from the snapshot"},
			{"sum by (result) (holdfast_routing_table_restored_peers{@})", "restored: {{result}}"},
			{"sum by (outcome) (increase(holdfast_bootstrap_attempts_total{@}[@]))", "bootstrap: {{outcome}}"},
		},
	},
	{
		kind: lines, title: "Age of the snapshot", unit: "s",
		description: "Time since the table was saved, or since the start. Saved every minute if it changed and every ten if not, as long as any peer answers.",
		queries: []query{{
			"time() - (holdfast_snapshot_last_success_timestamp_seconds{@} > 0 or process_start_time_seconds{@})", "{{instance}}",
		}},
	},
	{
		kind: lines, title: "Peers in the snapshot", unit: "none",
		description: "Peers that a restart now would begin with.",
		queries:     []query{{"holdfast_snapshot_peers{@}", "{{instance}}"}},
	},
}}

var lookups = row{"Lookups", []panel{
	{
		kind: stacked, title: "Lookups by purpose", unit: "ops",
		description: "Finished lookups and stores. refresh is the node's own upkeep, correct sends a better value to holders of a worse one.",
		queries:     rates("holdfast_lookups_total", "op"),
	},
	{
		kind: stacked, title: "Lookups by outcome", unit: "ops",
		description: "ok; not_found: nobody has it; failed: nobody answered or nobody stored; cancelled: the caller went away.",
		queries:     rates("holdfast_lookups_total", "outcome"),
	},
	{
		kind: lines, title: "Lookups in flight", unit: "none",
		description: "Lookups that run, and those that wait because 192 of their requests are in flight. Waiting for long: more is asked than the node can do.",
		queries: []query{
			{"sum by (instance) (holdfast_lookups_in_flight{@})", "{{instance}} running"},
			{"sum by (instance) (holdfast_lookups_blocked{@})", "{{instance}} waiting"},
		},
	},
	{
		kind: lines, title: "Duration of lookups, 95 %", unit: "s",
		description: "95 of 100 lookups took no longer, stores included. Finding takes some round trips; storing asks all 20 closest and takes longer.",
		queries:     p95("holdfast_lookup_duration_seconds", "op"),
	},
	{
		kind: lines, title: "Hops of a lookup", unit: "none",
		description: "Longest chain of answers that led to one of the closest peers. A handful; it grows with the logarithm of the network size.",
		queries:     quantiles("holdfast_lookup_hops", ""),
	},
	{
		kind: lines, title: "Peers asked by a lookup", unit: "none",
		description: "How many peers one lookup asked. Rises with the share of dead peers in the tables of the network.",
		queries:     quantiles("holdfast_lookup_peers_queried", ""),
	},
}}

var inbound = row{"RPC in: what others ask of the node", []panel{
	{
		kind: stacked, title: "Requests in by type", unit: "reqps",
		description: "Requests of peers. UNKNOWN are streams that ended before a request could be read.",
		queries:     rates("holdfast_rpc_inbound_requests_total", "type"),
	},
	{
		kind: stacked, title: "Requests in by outcome", unit: "reqps",
		description: "reply; no_reply: none was due; rejected: see the reasons; error, timeout: the peer or the connection failed; cancelled: the node was stopping.",
		queries:     rates("holdfast_rpc_inbound_requests_total", "outcome"),
	},
	{
		kind: stacked, title: "Requests in: why rejected", unit: "reqps",
		description: "older_record is the everyday case. too_many_streams, idle_stream, memory, rate_limited, quota and busy mean that a bound of the node was reached; storage is the node's own database; the others are mistakes of the peer.",
		queries:     rates("holdfast_rpc_inbound_rejected_total", "reason"),
	},
	{
		kind: lines, title: "Duration of requests in, 95 %", unit: "s",
		description: "95 of 100 requests were answered in no longer. Reads are from memory or the page cache; PUT_VALUE and ADD_PROVIDER may wait for a commit.",
		queries:     p95("holdfast_rpc_inbound_duration_seconds", "type"),
	},
	{
		kind: lines, title: "Traffic of requests in", unit: "Bps",
		description: "Bytes of the requests and of the replies to them, without the transport's share.",
		queries:     rates("holdfast_rpc_inbound_bytes_total", "part"),
	},
	{
		kind: lines, title: "Streams in", unit: "none",
		description: "Open streams on which peers send requests. Bounded for each peer and in all.",
		queries:     []query{{"sum by (instance) (holdfast_rpc_inbound_streams_in_flight{@})", "{{instance}}"}},
	},
}}

var outbound = row{"RPC out: what the node asks of others", []panel{
	{
		kind: stacked, title: "Requests out by type", unit: "reqps",
		description: "Requests to peers: FIND_NODE is the lookups and the upkeep of the table, the others are what users and the schedule of republishing ask for.",
		queries:     rates("holdfast_rpc_outbound_requests_total", "type"),
	},
	{
		kind: stacked, title: "Requests out by outcome", unit: "reqps",
		description: "Timeouts and errors are peers that are gone; on a public network one in five is no surprise.",
		queries:     rates("holdfast_rpc_outbound_requests_total", "outcome"),
	},
	{
		kind: stacked, title: "Requests out: why they failed", unit: "reqps",
		description: "unreachable: no connection; unsupported: the peer does not serve the protocol; ended: it closed the stream, which is also how a peer rejects.",
		queries:     rates("holdfast_rpc_outbound_rejected_total", "reason"),
	},
	{
		kind: lines, title: "Duration of requests out, 95 %", unit: "s",
		description: "On a connection that is there: round trip and the peer's work.",
		queries:     p95("holdfast_rpc_outbound_duration_seconds", "type"),
	},
	{
		kind: lines, title: "Traffic of requests out", unit: "Bps",
		description: "Bytes of the requests and of the replies to them, without the transport's share.",
		queries:     rates("holdfast_rpc_outbound_bytes_total", "part"),
	},
	{
		kind: lines, title: "Streams out", unit: "none",
		description: "Streams in use, and streams kept open for the next request to the same peer.",
		queries: []query{
			{"sum by (instance) (holdfast_rpc_outbound_streams_in_flight{@})", "{{instance}} in use"},
			{"sum by (instance) (holdfast_rpc_outbound_streams_idle{@})", "{{instance}} idle"},
		},
	},
	{
		kind: stacked, title: "Requests by purpose", unit: "reqps",
		description: "Requests of lookups, of stores and of probes, by whether they were answered.",
		queries:     []query{{"sum by (role, outcome) (rate(holdfast_requests_total{@}[@]))", "{{role}} {{outcome}}"}},
	},
	{
		kind: lines, title: "Duration by purpose, 95 %", unit: "s",
		description: "From the decision to ask to the answer or failure, the dial included. A lookup passes over a peer after one second and gives up on it after ten.",
		queries:     p95("holdfast_request_duration_seconds", "role"),
	},
	{
		kind: lines, title: "Requests in flight", unit: "none",
		description: "Requests that wait for an answer; at most 256 a node, 64 of them probes.",
		queries:     []query{{"sum by (instance) (holdfast_requests_in_flight{@})", "{{instance}}"}},
	},
}}
