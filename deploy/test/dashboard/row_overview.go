package dashboard

func rows() []row {
	return []row{
		overview, routingTable, lookups, inbound, outbound,
		storedRecords, republished, database, resources, process,
	}
}

// overview: three numbers each for the four questions of a person in a hurry.
var overview = row{"Overview: is it up · is it connected · does it keep up · is it healthy on disk", []panel{
	{
		kind: number, title: "Nodes down", unit: "none",
		description: "Up: nodes that Prometheus cannot scrape. Anything but 0 is an outage of the node or of the way to it.",
		queries:     []query{{"sum(1 - up{@})", "down"}},
		steps:       []step{{0, "green"}, {1, "red"}},
	},
	{
		kind: number, title: "Shortest uptime", unit: "s",
		description: "Up: time since the youngest process started. Short again and again is a restart loop; starts are marked in all graphs.",
		queries:     []query{{"min(time() - process_start_time_seconds{@})", "uptime"}},
		steps:       []step{{0, "orange"}, {600, "green"}},
	},
	{
		kind: number, title: "Nodes that serve", unit: "none",
		description: "Up: nodes in server mode, which answer others. A node in client mode only asks.",
		queries:     []query{{`sum(holdfast_state{@,state="server"})`, "serving"}},
		steps:       []step{{0, "orange"}, {1, "green"}},
	},
	{
		kind: number, title: "Verified peers", unit: "none",
		description: "Connected: peers in the routing table whose last exchange succeeded, of the node that has the fewest. Under 10 the node repairs its table; 0 after there were some is isolation, for which there is an alert. A network of fewer than 11 servers is orange by nature.",
		queries:     []query{{"min(holdfast_routing_table_verified_peers{@})", "verified"}},
		steps:       below(1, 10),
	},
	{
		kind: number, title: "Connected peers", unit: "none",
		description: "Connected: peers with an open connection, of the node that has the fewest.",
		queries:     []query{{"min(sum by (job, instance) (holdfast_connected_peers{@}))", "connected"}},
		steps:       []step{{0, "red"}, {1, "green"}},
	},
	{
		kind: number, title: "Requests served", unit: "reqps",
		description: "Connected: requests of other peers answered per second. 0 for long means that nobody finds or reaches the node.",
		queries:     []query{{`sum(rate(holdfast_rpc_inbound_requests_total{@,outcome=~"reply|no_reply"}[@]))`, "served"}},
	},
	{
		kind: number, title: "Lookups that succeed", unit: "percentunit", absent: "idle",
		description: "Keeps up: share of lookups that did not fail. Not having found what nobody has is no failure; cancelled lookups do not count.",
		queries: []query{{
			`1 - sum(rate(holdfast_lookups_total{@,outcome="failed"}[@])) / (sum(rate(holdfast_lookups_total{@,outcome!="cancelled"}[@])) > 0)`,
			"succeeded",
		}},
		steps: below(0.8, 0.95),
	},
	{
		kind: number, title: "Republishing behind for", unit: "s",
		description: "Keeps up: time since no published key was overdue, of the node furthest behind. Records live 48 hours and are renewed every 22, so hours are a warning, a day is loss.",
		queries: []query{{
			"max(time() - (holdfast_republish_last_cycle_timestamp_seconds{@} > 0 or process_start_time_seconds{@}))", "behind",
		}},
		steps: above(3600, 6*3600),
	},
	{
		kind: number, title: "Refused for want of room", unit: "reqps",
		description: "Keeps up: requests of peers turned away per second because a bound was reached: streams, rate, quota, writes waiting.",
		queries: []query{{
			`sum(rate(holdfast_rpc_inbound_rejected_total{@,reason=~"too_many_streams|idle_stream|memory|rate_limited|quota|busy"}[@]))`, "refused",
		}},
		steps: above(0.1, 10),
	},
	{
		kind: number, title: "Largest database", unit: "bytes",
		description: "Disk: size of the largest database file. New records are refused shortly before storage.max_bytes, 8 GiB by default; the colours are for that.",
		queries:     []query{{"max(holdfast_db_size_bytes{@})", "size"}},
		steps:       above(6<<30, 7.5*(1<<30)),
	},
	{
		kind: number, title: "Slowest commits", unit: "s", absent: "idle",
		description: "Disk: 99th percentile of the time to make writes durable, of the slowest node. Under 50 ms on an SSD; a second is a disk in distress.",
		queries: []query{{
			"max(histogram_quantile(0.99, sum by (job, instance, le) (rate(holdfast_db_commit_duration_seconds_bucket{@}[@]))))", "p99",
		}},
		steps: above(0.25, 1),
	},
	{
		kind: number, title: "Database errors", unit: "none", worst: true,
		description: "Disk: most operations of the database that failed at once for its own reasons (no room, damage, a failed fsync) in the time range shown. Anything but 0 wants a look at the log.",
		queries:     []query{{"sum(increase(holdfast_db_errors_total{@}[@]))", "errors"}},
		steps:       []step{{0, "green"}, {0.01, "red"}},
	},
}}
