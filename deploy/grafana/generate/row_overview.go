package main

func rows() []row {
	return []row{
		overview, routingTable, lookups, inbound, outbound,
		storedRecords, republished, database, resources, process,
	}
}

// overview answers four questions with three numbers each.
var overview = row{"Overview: is it up · is it connected · does it keep up · is its disk healthy", []panel{
	{
		kind: number, title: "Nodes down", unit: "none",
		description: "Up: nodes that Prometheus cannot scrape. Anything but 0 means that a node, or the network path to it, is down.",
		queries:     []query{{"sum(1 - up{@})", "down"}},
		steps:       []step{{0, "green"}, {1, "red"}},
	},
	{
		kind: number, title: "Shortest uptime", unit: "s",
		description: "Up: time since the youngest process started. Repeated drops are a restart loop; all graphs mark the starts.",
		queries:     []query{{"min(time() - process_start_time_seconds{@})", "uptime"}},
		steps:       []step{{0, "orange"}, {600, "green"}},
	},
	{
		kind: number, title: "Nodes serving", unit: "none",
		description: "Up: nodes in server mode, which answer requests. A node in client mode only sends them.",
		queries:     []query{{`sum(holdfast_state{@,state="server"})`, "serving"}},
		steps:       []step{{0, "orange"}, {1, "green"}},
	},
	{
		kind: number, title: "Verified peers", unit: "none",
		description: "Connected: peers in the routing table whose last request succeeded, for the node with the fewest. Below 10 the node repairs its table. A drop to 0 is isolation, which has its own alert. A network of fewer than 11 servers is always orange.",
		queries:     []query{{"min(holdfast_routing_table_verified_peers{@})", "verified"}},
		steps:       below(1, 10),
	},
	{
		kind: number, title: "Connected peers", unit: "none",
		description: "Connected: peers with an open connection, for the node with the fewest.",
		queries:     []query{{"min(sum by (job, instance) (holdfast_connected_peers{@}))", "connected"}},
		steps:       []step{{0, "red"}, {1, "green"}},
	},
	{
		kind: number, title: "Requests served", unit: "reqps",
		description: "Connected: requests from other peers answered per second. If it stays at 0, other peers cannot find or reach the node.",
		queries:     []query{{`sum(rate(holdfast_rpc_inbound_requests_total{@,outcome=~"reply|no_reply"}[@]))`, "served"}},
	},
	{
		kind: number, title: "Lookup success", unit: "percentunit", absent: "idle",
		description: "Keeps up: share of lookups that did not fail. A search that finds nothing because the record does not exist is no failure; cancelled lookups do not count.",
		queries: []query{{
			`1 - sum(rate(holdfast_lookups_total{@,outcome="failed"}[@])) / (sum(rate(holdfast_lookups_total{@,outcome!="cancelled"}[@])) > 0)`,
			"succeeded",
		}},
		steps: below(0.8, 0.95),
	},
	{
		kind: number, title: "Republish behind by", unit: "s",
		description: "Keeps up: time since no published key was overdue, for the node furthest behind. Records live 48 hours and are republished every 22, so hours are a warning and a day is data loss.",
		queries: []query{{
			"max(time() - (holdfast_republish_last_cycle_timestamp_seconds{@} > 0 or process_start_time_seconds{@}))", "behind",
		}},
		steps: above(3600, 6*3600),
	},
	{
		kind: number, title: "Requests refused at limits", unit: "reqps",
		description: "Keeps up: requests from peers refused per second because a limit was reached: streams, rate, memory, quota, queued writes.",
		queries: []query{{
			`sum(rate(holdfast_rpc_inbound_rejected_total{@,reason=~"too_many_streams|idle_stream|memory|rate_limited|quota|busy"}[@]))`, "refused",
		}},
		steps: above(0.1, 10),
	},
	{
		kind: number, title: "Largest database", unit: "bytes",
		description: "Disk: size of the largest database. New records are refused shortly before storage.max_bytes, 8 GiB by default; the colours assume that default.",
		queries:     []query{{"max(holdfast_db_size_bytes{@})", "size"}},
		steps:       above(6<<30, 7.5*(1<<30)),
	},
	{
		kind: number, title: "Slowest commits", unit: "s", absent: "idle",
		description: "Disk: 99th percentile of the time to make writes durable, for the slowest node. Below 50 ms on an SSD; a second means an overloaded or failing disk.",
		queries: []query{{
			"max(histogram_quantile(0.99, sum by (job, instance, le) (rate(holdfast_db_commit_duration_seconds_bucket{@}[@]))))", "p99",
		}},
		steps: above(0.25, 1),
	},
	{
		kind: number, title: "Database errors", unit: "none", worst: true,
		description: "Disk: the largest number of database operations that failed at once in the time range shown, because the database was full or corrupted, or an fsync failed. If it is not 0, look at the log.",
		queries:     []query{{"sum(increase(holdfast_db_errors_total{@}[@]))", "errors"}},
		steps:       []step{{0, "green"}, {0.01, "red"}},
	},
}}
