package dashboard

var resources = row{"libp2p resources", []panel{
	{
		kind: lines, title: "Connections", unit: "none",
		description: "Open connections and the limit of libp2p's resource manager. The connection manager trims at limits.connections_high, long before.",
		queries: []query{
			{`sum by (instance, dir) (libp2p_rcmgr_connections{@,scope="system"})`, "{{instance}} {{dir}}"},
			{`libp2p_rcmgr_limit{@,scope="system",resource="conns"}`, "{{instance}} limit"},
		},
	},
	{
		kind: lines, title: "Streams", unit: "none",
		description: "Open streams of all protocols and the limit of libp2p's resource manager.",
		queries: []query{
			{`sum by (instance, dir) (libp2p_rcmgr_streams{@,scope="system"})`, "{{instance}} {{dir}}"},
			{`libp2p_rcmgr_limit{@,scope="system",resource="streams"}`, "{{instance}} limit"},
		},
	},
	{
		kind: lines, title: "Reserved memory", unit: "bytes",
		description: "Memory reserved for connections and streams, and its limit (limits.memory, or an eighth of the machine's).",
		queries: []query{
			{`libp2p_rcmgr_memory{@,scope="system"}`, "{{instance}}"},
			{`libp2p_rcmgr_limit{@,scope="system",resource="memory"}`, "{{instance}} limit"},
		},
	},
	{
		kind: stacked, title: "Blocked by the resource manager", unit: "ops",
		description: "Connections, streams and memory refused, by whose limit was reached. system and transient mean that the node is full; peer is one peer that wants too much. Absent until something was blocked.",
		queries: []query{{
			"sum by (scope, resource, dir) (rate(libp2p_rcmgr_blocked_resources{@}[@]))", "{{scope}} {{resource}} {{dir}}",
		}},
	},
	{
		kind: stacked, title: "Connections opened", unit: "cps",
		description: "New connections by direction and transport.",
		queries: []query{{
			"sum by (dir, transport) (rate(libp2p_swarm_connections_opened_total{@}[@]))", "{{dir}} {{transport}}",
		}},
	},
	{
		kind: stacked, title: "Failed dials", unit: "cps",
		description: "Addresses that could not be dialled, by transport and error. Dead addresses are the everyday life of a DHT; a jump to all of them is the node's own uplink. Absent until the first failure.",
		queries: []query{{
			"sum by (transport, error) (rate(libp2p_swarm_dial_errors_total{@}[@]))", "{{transport}} {{error}}",
		}},
	},
}}

var process = row{"Process", []panel{
	{
		kind: stacked, title: "State", unit: "none",
		description: "Nodes by what they are up to: starting, joining, client, server, isolated, stopping.",
		queries:     []query{{"sum by (state) (holdfast_state{@})", "{{state}}"}},
	},
	{
		kind: stacked, title: "Reachability", unit: "none",
		description: "Nodes by whether others can reach them, as far as they know. On a private network it stays unknown.",
		queries:     []query{{"sum by (status) (holdfast_reachability{@})", "{{status}}"}},
	},
	{
		kind: stacked, title: "Versions", unit: "none",
		description: "Nodes by version and the Go release it was built with.",
		queries:     []query{{"count by (version, revision, goversion) (holdfast_build_info{@})", "{{version}} {{revision}} {{goversion}}"}},
	},
	{
		kind: lines, title: "Work that waits for the loop", unit: "none",
		description: "Calls that wait for the goroutine that owns the protocol. More than a handful for long: it is busy or stuck.",
		queries:     []query{{"holdfast_loop_waiting_calls{@}", "{{instance}}"}},
	},
	{
		kind: lines, title: "Dropped at bounds", unit: "ops",
		description: "What the node let go of because a bound was reached: lookups refused, candidates not remembered, news of peers not heard, scrapes that went without the node's data.",
		queries: []query{
			{"sum(rate(holdfast_lookups_rejected_total{@}[@]))", "lookups"},
			{"sum(rate(holdfast_probe_candidates_rejected_total{@}[@]))", "candidates"},
			{"sum(rate(holdfast_loop_rejected_calls_total{@}[@]))", "news of peers"},
			{"sum(rate(holdfast_scrape_timeouts_total{@}[@]))", "scrapes"},
		},
	},
	{
		kind: lines, title: "Configuration", unit: "s",
		description: "Time since a configuration was taken, at start or by a reload. The second series is there only while the last reload stands refused.",
		queries: []query{
			{"time() - holdfast_config_last_reload_success_timestamp_seconds{@}", "{{instance}}"},
			{"time() - holdfast_config_last_reload_success_timestamp_seconds{@} and holdfast_config_last_reload_successful{@} == 0", "{{instance}} a reload was refused"},
		},
	},
	{
		kind: lines, title: "CPU", unit: "percentunit",
		description: "Processor time used per second; 100 % is one core.",
		queries:     []query{{"rate(process_cpu_seconds_total{@}[@])", "{{instance}}"}},
	},
	{
		kind: lines, title: "Memory", unit: "bytes",
		description: "Resident memory, which counts mapped pages of the database, and the heap of the program.",
		queries: []query{
			{"process_resident_memory_bytes{@}", "{{instance}} resident"},
			{"go_memstats_heap_inuse_bytes{@}", "{{instance}} heap"},
		},
	},
	{
		kind: lines, title: "File descriptors", unit: "none",
		description: "Open descriptors and their limit (LimitNOFILE of the unit). Each TCP connection is one.",
		queries: []query{
			{"process_open_fds{@}", "{{instance}}"},
			{"process_max_fds{@}", "{{instance}} limit"},
		},
	},
	{
		kind: lines, title: "Goroutines", unit: "none",
		description: "Follows connections and streams; growth without them is a leak.",
		queries:     []query{{"go_goroutines{@}", "{{instance}}"}},
	},
	{
		kind: lines, title: "Garbage collection", unit: "percentunit",
		description: "Share of time that the program stood still for garbage collection.",
		queries:     []query{{"rate(go_gc_duration_seconds_sum{@}[@])", "{{instance}}"}},
	},
	{
		kind: lines, title: "Network of the machine", unit: "Bps",
		description: "Bytes received and sent by everything in the node's network namespace: the whole machine, or the container.",
		queries: []query{
			{"rate(process_network_receive_bytes_total{@}[@])", "{{instance}} in"},
			{"rate(process_network_transmit_bytes_total{@}[@])", "{{instance}} out"},
		},
	},
}}
