package main

var resources = row{title: "libp2p resources", panels: []panel{
	{
		kind: lines, title: "Connections", unit: "none",
		description: "Open connections, and the limit of libp2p's resource manager. The connection manager closes idle connections above limits.connections_high, long before that limit.",
		queries: []query{
			{`sum by (instance, dir) (libp2p_rcmgr_connections{@,scope="system"})`, "{{instance}} {{dir}}"},
			{`libp2p_rcmgr_limit{@,scope="system",resource="conns"}`, "{{instance}} limit"},
		},
	},
	{
		kind: lines, title: "Streams", unit: "none",
		description: "Open streams of all protocols, and the limit of libp2p's resource manager.",
		queries: []query{
			{`sum by (instance, dir) (libp2p_rcmgr_streams{@,scope="system"})`, "{{instance}} {{dir}}"},
			{`libp2p_rcmgr_limit{@,scope="system",resource="streams"}`, "{{instance}} limit"},
		},
	},
	{
		kind: lines, title: "Reserved memory", unit: "bytes",
		description: "Memory reserved for connections and streams, and its limit (limits.memory, or an eighth of the machine's memory).",
		queries: []query{
			{`libp2p_rcmgr_memory{@,scope="system"}`, "{{instance}}"},
			{`libp2p_rcmgr_limit{@,scope="system",resource="memory"}`, "{{instance}} limit"},
		},
	},
	{
		kind: stacked, title: "Blocked by the resource manager", unit: "ops",
		description: "Refused connections, streams and memory, by the scope whose limit was reached. system and transient mean that the node is at its limit; peer means that one peer is. address_limit and address_rate are connections refused because of their address.",
		alerts:      []string{"ResourceManagerBlocking"},
		queries: []query{{
			"sum by (instance, scope, resource, dir) (rate(libp2p_rcmgr_blocked_resources{@}[@]))", "{{instance}} {{scope}} {{resource}} {{dir}}",
		}, {
			"sum by (instance, reason) (rate(holdfast_connections_refused_total{@}[@]))", "{{instance}} {{reason}}",
		}},
	},
	{
		kind: stacked, title: "Connections opened", unit: "cps",
		description: "New connections by direction and transport.",
		queries: []query{{
			"sum by (instance, dir, transport) (rate(libp2p_swarm_connections_opened_total{@}[@]))", "{{instance}} {{dir}} {{transport}}",
		}},
	},
	{
		kind: stacked, title: "Failed dials", unit: "cps",
		description: "Addresses that could not be dialled, by transport and error. Dead addresses are normal in a DHT; if nearly all dials fail, the node's own uplink is down. Absent until the first failure.",
		queries: []query{{
			"sum by (instance, transport, error) (rate(libp2p_swarm_dial_errors_total{@}[@]))", "{{instance}} {{transport}} {{error}}",
		}},
	},
}}

var process = row{title: "Process", panels: []panel{
	{
		kind: stacked, title: "State", unit: "none",
		description: "Nodes by state: starting, joining, client, server, isolated, stopping.",
		alerts:      []string{"Isolated"},
		queries:     []query{{"sum by (state) (holdfast_state{@})", "{{state}}"}},
	},
	{
		kind: stacked, title: "Reachability", unit: "none",
		description: "Nodes by whether other peers can reach them, as far as the node knows. On a private network it stays unknown.",
		alerts:      []string{"ReachabilityLost"},
		queries:     []query{{"sum by (status) (holdfast_reachability{@})", "{{status}}"}},
	},
	{
		kind: stacked, title: "Versions", unit: "none",
		description: "Nodes by version and by the Go release they were built with.",
		alerts:      []string{"VersionSkew"},
		queries:     []query{{"count by (version, revision, goversion) (holdfast_build_info{@})", "{{version}} {{revision}} {{goversion}}"}},
	},
	{
		kind: lines, title: "Calls waiting for the loop", unit: "none",
		description: "Calls that wait for the goroutine that owns the protocol. More than a handful for long means that it is busy or stuck.",
		alerts:      []string{"LoopHung"},
		queries:     []query{{"holdfast_loop_waiting_calls{@}", "{{instance}}"}},
	},
	{
		kind: lines, title: "Dropped at limits", unit: "ops",
		description: "What the node dropped because a limit was reached: lookups refused, candidates not queued, peer events dropped, scrapes without the node's data.",
		queries: []query{
			{"rate(holdfast_lookups_rejected_total{@}[@])", "{{instance}} lookups"},
			{"rate(holdfast_probe_candidates_rejected_total{@}[@])", "{{instance}} candidates"},
			{"rate(holdfast_loop_rejected_calls_total{@}[@])", "{{instance}} peer events"},
			{"rate(holdfast_scrape_timeouts_total{@}[@])", "{{instance}} scrapes"},
		},
	},
	{
		kind: lines, title: "Configuration", unit: "s",
		description: "Time since a configuration was accepted, at the start or by a reload. The second series exists only while the last reload was refused.",
		alerts:      []string{"ConfigReloadFailed"},
		queries: []query{
			{"time() - holdfast_config_last_reload_success_timestamp_seconds{@}", "{{instance}}"},
			{"time() - holdfast_config_last_reload_success_timestamp_seconds{@} and holdfast_config_last_reload_successful{@} == 0", "{{instance}} a reload was refused"},
		},
	},
	{
		kind: lines, title: "CPU", unit: "percentunit",
		description: "CPU time used per second; 100 % is one core.",
		queries:     []query{{"rate(process_cpu_seconds_total{@}[@])", "{{instance}}"}},
	},
	{
		kind: lines, title: "Memory", unit: "bytes",
		description: "Resident memory, which includes mapped pages of the database that the kernel can drop; what the process holds without those; and its limit: that of its control groups (MemoryMax= of the unit, the container), or the memory of the machine. A process that reaches the limit is killed.",
		alerts:      []string{"MemoryHigh"},
		queries: []query{
			{"process_resident_memory_bytes{@}", "{{instance}} resident"},
			{"go_memstats_sys_bytes{@} - go_memstats_heap_released_bytes{@}", "{{instance}} held"},
			{"holdfast_memory_limit_bytes{@} > 0", "{{instance}} limit"},
		},
	},
	{
		kind: lines, title: "Unclean starts", unit: "none",
		description: "Starts after a crash, a kill or a power cut. Each one means that the previous process did not close its database; no acknowledged write is lost.",
		alerts:      []string{"UncleanStarts"},
		queries:     []query{{"increase(holdfast_unclean_starts_total{@}[@])", "{{instance}}"}},
	},
	{
		kind: lines, title: "Limits in use", unit: "percentunit",
		description: "Used share of the limits of the process: memory, file descriptors, and libp2p's connections, streams and memory. At 1 the kernel kills the process (memory), or new connections and streams are refused.",
		alerts:      []string{"MemoryHigh", "FDsHigh"},
		steps:       above(0.8, 1),
		queries: []query{
			{"instance:holdfast_memory_held:ratio{@}", "{{instance}} memory"},
			{"process_open_fds{@} / process_max_fds{@}", "{{instance}} file descriptors"},
			{`sum by (job, instance) (libp2p_rcmgr_connections{@,scope="system"}) / on (job, instance) libp2p_rcmgr_limit{@,scope="system",resource="conns"}`, "{{instance}} connections"},
			{`sum by (job, instance) (libp2p_rcmgr_streams{@,scope="system"}) / on (job, instance) libp2p_rcmgr_limit{@,scope="system",resource="streams"}`, "{{instance}} streams"},
			{`sum by (job, instance) (libp2p_rcmgr_memory{@,scope="system"}) / on (job, instance) libp2p_rcmgr_limit{@,scope="system",resource="memory"}`, "{{instance}} libp2p memory"},
		},
	},
	{
		kind: lines, title: "File descriptors", unit: "none",
		description: "Open file descriptors and their limit (LimitNOFILE of the unit). Each TCP connection uses one.",
		alerts:      []string{"FDsHigh"},
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
		description: "Share of time that the process was stopped for garbage collection.",
		queries:     []query{{"rate(go_gc_duration_seconds_sum{@}[@])", "{{instance}}"}},
	},
	{
		kind: lines, title: "Network traffic of the machine", unit: "Bps",
		description: "Bytes received and sent by everything in the node's network namespace: the whole machine, or the container.",
		queries: []query{
			{"rate(process_network_receive_bytes_total{@}[@])", "{{instance}} in"},
			{"rate(process_network_transmit_bytes_total{@}[@])", "{{instance}} out"},
		},
	},
}}
