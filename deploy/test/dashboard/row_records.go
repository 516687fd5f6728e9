package dashboard

var storedRecords = row{"Records and expiry", []panel{
	{
		kind: stacked, title: "Records stored", unit: "short",
		description: "Records kept for the network, an upper bound of those still valid. Grows for the first 48 hours of a node, then follows the network.",
		queries:     []query{{"sum by (kind) (holdfast_records{@})", "{{kind}}"}},
	},
	{
		kind: stacked, title: "Bytes of the records", unit: "bytes",
		description: "Estimated size of the records in the database.",
		queries:     []query{{"sum by (kind) (holdfast_record_bytes{@})", "{{kind}}"}},
	},
	{
		kind: lines, title: "Providers known", unit: "short",
		description: "Distinct peers in the provider records of a node.",
		queries:     []query{{"holdfast_record_providers{@}", "{{instance}}"}},
	},
	{
		kind: stacked, title: "Records offered by peers", unit: "wps",
		description: "What became of records that peers wanted stored: stored; older: the value here is better; invalid; refused: no room; failed: the node's own database.",
		queries:     []query{{"sum by (kind, outcome) (rate(holdfast_record_puts_total{@}[@]))", "{{kind}} {{outcome}}"}},
	},
	{
		kind: stacked, title: "Refused by a quota", unit: "wps",
		description: "Records of others that were refused because a quota was reached, by quota; of addresses_per_provider: announcements that were cut. bytes is storage.max_bytes, value_bytes is values.max_size, the others have their names in [quotas].",
		queries:     rates("holdfast_quota_refusals_total", "quota"),
	},
	{
		kind: lines, title: "Quotas in use", unit: "percentunit",
		description: "How much of the quotas is taken: the peers that provider records name, the room for new records in the fullest file of the database, and the values. The values shown include the node's own, which no quota counts. At 1 what is new is refused; what is there stays.",
		queries: []query{
			{`holdfast_record_providers{@} / on (job, instance) holdfast_quota_limit{@,quota="providers"}`, "{{instance}} providers"},
			{"holdfast_db_fill_ratio{@}", "{{instance}} bytes"},
			{`holdfast_records{@,kind="value"} / on (job, instance) holdfast_quota_limit{@,quota="values"}`, "{{instance}} values"},
			{`holdfast_record_bytes{@,kind="value"} / on (job, instance) holdfast_quota_limit{@,quota="values_size"}`, "{{instance}} size of values"},
		},
	},
	{
		kind: stacked, title: "Invalid records", unit: "wps",
		description: "Records refused as invalid, by what was wrong. On a private network invalid_record is often a namespace that only some of the nodes accept.",
		queries:     rates("holdfast_record_validation_failures_total", "reason"),
	},
	{
		kind: stacked, title: "Records expired", unit: "ops",
		description: "Records removed because their time was over.",
		queries:     rates("holdfast_records_expired_total", "kind"),
	},
	{
		kind: lines, title: "Age of the last expiry", unit: "s",
		description: "Time since expired records were last removed, or since the start: at most storage.expiry_interval, a minute by default. They are not served in between.",
		queries: []query{{
			"time() - (holdfast_expiry_last_success_timestamp_seconds{@} > 0 or process_start_time_seconds{@})", "{{instance}}",
		}},
	},
	{
		kind: lines, title: "Duration of expiry", unit: "s",
		description: "Time of one run that removes expired records.",
		queries:     quantiles("holdfast_expiry_duration_seconds", ""),
	},
	{
		kind: lines, title: "Failed housekeeping", unit: "none",
		description: "Runs of expiry and snapshots that failed. The next run tries again; failures in a row mean that the disk does not take writes.",
		queries: []query{
			{"sum by (instance) (increase(holdfast_expiry_failures_total{@}[@]))", "{{instance}} expiry"},
			{"sum by (instance) (increase(holdfast_snapshot_failures_total{@}[@]))", "{{instance}} snapshot"},
		},
	},
}}

var republished = row{"Republish", []panel{
	{
		kind: stacked, title: "Keys published", unit: "short",
		description: "Keys that the nodes publish and renew every republish.interval, 22 hours by default.",
		queries:     []query{{"sum by (kind) (holdfast_republish_keys{@})", "{{kind}}"}},
	},
	{
		kind: lines, title: "Keys overdue", unit: "short",
		description: "Keys whose renewal is due and has not begun. Short hills are keys that were published together; a slope that does not come down is a node that cannot keep up.",
		queries:     []query{{"holdfast_republish_overdue_keys{@}", "{{instance}}"}},
	},
	{
		kind: lines, title: "Keys being republished", unit: "none",
		description: "At most eight at once.",
		queries:     []query{{"holdfast_republish_in_flight{@}", "{{instance}}"}},
	},
	{
		kind: stacked, title: "Republications", unit: "ops",
		description: "Keys published for the first time or again, by kind and how it ended. What failed, or was taken by fewer than half of the peers (partial), is tried again after a growing pause.",
		queries:     []query{{"sum by (kind, outcome) (rate(holdfast_republish_total{@}[@]))", "{{kind}} {{outcome}}"}},
	},
	{
		kind: lines, title: "Lateness", unit: "s",
		description: "How long after its due time the renewal of a key began. Records outlive their renewal by 26 hours.",
		queries:     quantiles("holdfast_republish_lag_seconds", ""),
	},
	{
		kind: lines, title: "Holders reached", unit: "none", top: 20,
		description: "Peers that took a republished record: the median, the 5 of 100 that fared worst, and the smallest number for any key when it was last tried. 20 is all; a network of fewer servers has fewer.",
		queries: []query{
			{"histogram_quantile(0.5, sum by (le) (rate(holdfast_republish_replicas_bucket{@}[@])))", "median"},
			{"histogram_quantile(0.05, sum by (le) (rate(holdfast_republish_replicas_bucket{@}[@])))", "5 %"},
			{"min(holdfast_republish_fewest_holders{@} and holdfast_republish_fewest_holders_keys{@} > 0)", "fewest, last try"},
		},
	},
	{
		kind: lines, title: "Time since nothing was overdue", unit: "s",
		description: "Time since a scrape at which no key was overdue, or since the start.",
		queries: []query{{
			"time() - (holdfast_republish_last_cycle_timestamp_seconds{@} > 0 or process_start_time_seconds{@})", "{{instance}}",
		}},
	},
	{
		kind: lines, title: "Time since the last success", unit: "s",
		description: "Time since any key was republished; absent until the first one after a start.",
		queries:     []query{{"time() - (holdfast_republish_last_success_timestamp_seconds{@} > 0)", "{{instance}}"}},
	},
	{
		kind: lines, title: "Peers asked for a key", unit: "none",
		description: "Cost of a republication: peers that its lookup asked, on average.",
		queries: []query{{
			"sum(rate(holdfast_republish_find_node_total{@}[@])) / (sum(rate(holdfast_republish_total{@}[@])) > 0)", "peers",
		}},
	},
}}

var database = row{"Database", []panel{
	{
		kind: lines, title: "Size of the database", unit: "bytes",
		description: "Length of the files, the part of them that holds something, and storage.max_bytes, shortly before which new records are refused. Files shrink at a start only (storage.compact_above); the difference is used again before they grow.",
		queries: []query{
			{"holdfast_db_size_bytes{@}", "{{instance}} files"},
			{"holdfast_db_size_bytes{@} - holdfast_db_free_bytes{@}", "{{instance}} in use"},
			{"holdfast_db_max_bytes{@}", "{{instance}} limit"},
			{"holdfast_db_copies_bytes{@} > 0", "{{instance}} old copies"},
		},
	},
	{
		kind: lines, title: "Free space of the disk", unit: "bytes",
		description: "Space that the file system of the data directory still has for the node, and its size. At 0 new records are refused and nothing can be published.",
		queries: []query{
			{"holdfast_disk_free_bytes{@}", "{{instance}} free"},
			{"holdfast_disk_size_bytes{@}", "{{instance}} size"},
		},
	},
	{
		kind: lines, title: "Free part of the files", unit: "percentunit", top: 1,
		description: "Share of the files that holds nothing. After a mass expiry it may be most of them; a restart gives it back to the disk (storage.compact_above).",
		queries:     []query{{"holdfast_db_free_bytes{@} / holdfast_db_size_bytes{@}", "{{instance}}"}},
	},
	{
		kind: lines, title: "Duration of commits", unit: "s",
		description: "Time of a transaction that writes, fsync included: what the disk can do.",
		queries:     quantiles("holdfast_db_commit_duration_seconds", "instance"),
	},
	{
		kind: lines, title: "Commits", unit: "ops",
		description: "Transactions that write. Under load they become larger, not more.",
		queries:     []query{{"sum by (instance) (rate(holdfast_db_commit_duration_seconds_count{@}[@]))", "{{instance}}"}},
	},
	{
		kind: lines, title: "Writes in a commit", unit: "none",
		description: "Writes that one transaction made durable; at most 4096.",
		queries:     quantiles("holdfast_db_batch_records", ""),
	},
	{
		kind: lines, title: "Writes that wait", unit: "none",
		description: "Writes that wait for a transaction. Falls to 0 between commits; a plateau is a disk slower than what it is asked for.",
		queries:     []query{{"holdfast_db_pending_writes{@}", "{{instance}}"}},
	},
	{
		kind: lines, title: "Writes refused", unit: "wps",
		description: "Writes refused because the queue, a quota or a file was full; see Refused by a quota.",
		queries:     []query{{"sum by (instance) (rate(holdfast_db_writes_rejected_total{@}[@]))", "{{instance}}"}},
	},
	{
		kind: stacked, title: "Errors of the database", unit: "none",
		description: "Operations that failed for the database's own reasons: no room, damage, a failed fsync. After a failed fsync the database takes no more writes until the restart (stopped writing).",
		queries: []query{
			{"sum by (op) (increase(holdfast_db_errors_total{@}[@]))", "{{op}}"},
			{"sum by (instance) (holdfast_db_failed{@}) > 0", "{{instance}} stopped writing"},
			{"sum by (instance) (holdfast_disk_full{@}) > 0", "{{instance}} disk full"},
		},
	},
	{
		kind: lines, title: "Duration of snapshots", unit: "s",
		description: "Time to save the routing table.",
		queries:     quantiles("holdfast_snapshot_duration_seconds", ""),
	},
}}
