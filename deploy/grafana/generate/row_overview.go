package main

func rows() []row {
	return []row{
		overview, routingTable, lookups, inbound, outbound,
		storedRecords, republished, database, resources, process,
	}
}

// firing selects the alerts of holdfast.rules.yml that fire for a node, and firingForJob those
// that fire for a whole job: they name no node.
const (
	firing       = `ALERTS{@,alertname=~"Holdfast.+",alertstate="firing"}`
	firingForJob = `ALERTS{job=~"$job",alertname=~"HoldfastAbsent|HoldfastVersionSkew",alertstate="firing"}`
)

// overview answers four questions with four numbers each, and lists the nodes and the alerts.
var overview = row{title: "Overview: is it up · is it connected · does it keep up · is its disk healthy", panels: []panel{
	{
		kind: number, title: "Nodes down", unit: "none",
		description: "Up: nodes that Prometheus cannot scrape. Anything but 0 means that a node, or the network path to it, is down.",
		alerts:      []string{"TargetDown", "Absent"},
		queries:     []query{{"sum(1 - up{@})", "down"}},
		steps:       []step{{0, "green"}, {1, "red"}},
	},
	{
		kind: number, title: "Shortest uptime", unit: "s",
		description: "Up: time since the youngest process started. Repeated drops are a restart loop; all graphs mark the starts.",
		alerts:      []string{"RestartLoop", "UncleanStarts"},
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
		kind: number, title: "Alerts firing", unit: "none",
		description: "Up: alerts that fire for the selected nodes or for their whole job. The list beside the table of nodes names them.",
		queries:     []query{{"count(" + firing + " or " + firingForJob + ") or 0 * count(up{@})", "firing"}},
		steps:       []step{{0, "green"}, {1, "red"}},
	},
	{
		kind: number, title: "Isolated nodes", unit: "none",
		description: "Connected: nodes that had peers and get no answer from any. They retry every five seconds.",
		alerts:      []string{"Isolated"},
		queries:     []query{{`sum(holdfast_state{@,state="isolated"})`, "isolated"}},
		steps:       []step{{0, "green"}, {1, "red"}},
	},
	{
		kind: number, title: "Verified peers", unit: "none",
		description: "Connected: peers in the routing table whose last request succeeded, for the node with the fewest. Below 10 the node repairs its table. A network of fewer than 11 servers is always orange.",
		alerts:      []string{"RoutingTableLow", "RoutingTableCollapse"},
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
		alerts:      []string{"NoInboundRPC"},
		queries:     []query{{`sum(rate(holdfast_rpc_inbound_requests_total{@,outcome=~"reply|no_reply"}[@]))`, "served"}},
	},
	{
		kind: number, title: "Lookup success", unit: "percentunit", absent: "idle",
		description: "Keeps up: share of the lookups of the last 15 minutes that did not fail, for the node with the smallest. A search that finds nothing because the record does not exist is no failure; cancelled lookups do not count.",
		alerts:      []string{"LookupFailureRatio"},
		queries:     []query{{"1 - max(instance:holdfast_lookups_failed:ratio_rate15m{@})", "succeeded"}},
		steps:       below(0.8, 0.95),
	},
	{
		kind: number, title: "Republish behind by", unit: "s",
		description: "Keeps up: time since no published key was overdue, for the node furthest behind. Records live 48 hours and are republished every 22, so hours are a warning and a day is data loss.",
		alerts:      []string{"RepublishFallingBehind"},
		queries: []query{{
			"max(time() - (holdfast_republish_last_cycle_timestamp_seconds{@} > 0 or process_start_time_seconds{@}))", "behind",
		}},
		steps: above(3600, 6*3600),
	},
	{
		kind: number, title: "Requests refused at limits", unit: "reqps",
		description: "Keeps up: requests from peers refused per second because a limit was reached: streams, rate, memory, quota, queued writes.",
		alerts:      []string{"ResourceManagerBlocking", "DBWritesRefused"},
		queries: []query{{
			`sum(rate(holdfast_rpc_inbound_rejected_total{@,reason=~"too_many_streams|idle_stream|memory|rate_limited|quota|busy"}[@]))`, "refused",
		}},
		steps: above(0.1, 10),
	},
	{
		kind: number, title: "Memory in use", unit: "percentunit", absent: "no limit known",
		description: "Keeps up: memory that the process holds, as a share of what it may use, for the node with the largest. At 1 the kernel kills the process.",
		alerts:      []string{"MemoryHigh"},
		queries:     []query{{"max(instance:holdfast_memory_held:ratio{@})", "in use"}},
		steps:       above(0.7, 0.85),
	},
	{
		kind: number, title: "Fullest database", unit: "percentunit",
		description: "Disk: used share of the space for new records, which storage.max_bytes and the disk limit, for the fullest database. At 1 new records are refused; stored ones stay.",
		alerts:      []string{"DBGrowing"},
		queries:     []query{{"max(holdfast_db_fill_ratio{@})", "used"}},
		steps:       above(0.8, 0.95),
	},
	{
		kind: number, title: "Least disk free", unit: "percentunit", absent: "unknown",
		description: "Disk: free share of the file system of the data directory, for the node with the least. When it is full, new records may be refused and publishing may fail.",
		alerts:      []string{"DiskFull", "DiskFilling"},
		queries:     []query{{"min(instance:holdfast_disk_free:ratio{@})", "free"}},
		steps:       below(0.05, 0.15),
	},
	{
		kind: number, title: "Slowest commits", unit: "s", absent: "idle",
		description: "Disk: 99th percentile of the time to make writes durable, for the slowest node. Below 50 ms on an SSD; a second means an overloaded or failing disk.",
		alerts:      []string{"DBCommitSlow"},
		queries:     []query{{"max(instance:holdfast_db_commit_duration_seconds:p99_rate5m{@})", "p99"}},
		steps:       above(0.25, 1),
	},
	{
		kind: number, title: "Database errors", unit: "none", worst: true,
		description: "Disk: the largest number of database operations that failed at once in the time range shown, because the database was full or corrupted, or an fsync failed. If it is not 0, look at the log.",
		alerts:      []string{"DBErrors", "DBFailed"},
		queries:     []query{{"sum(increase(holdfast_db_errors_total{@}[@]))", "errors"}},
		steps:       []step{{0, "green"}, {0.01, "red"}},
	},
	{
		kind: fleet, title: "Nodes", unit: "none", width: 17,
		description: "A row for each node, those with alerts first; alerts for the whole job are in no row. A click on its name opens its status page, or this dashboard for it alone. p95 is how long the slowest requests of peers take; failed lookups are those of the last 15 minutes.",
		queries:     fleetQueries(),
	},
	{
		kind: alarms, title: "Alerts", width: 7,
		description: "Alerts of holdfast.rules.yml that fire or are about to, as Grafana reads them from Prometheus. Each one links to its runbook.",
	},
}}
