package main

var storedRecords = row{title: "Records and expiry", panels: []panel{
	{
		kind: stacked, title: "Records stored", unit: "short",
		description: "Records stored for the network, expired ones that are not removed yet included. Grows for the first 48 hours of a node, then follows the network.",
		queries:     []query{{"holdfast_records{@}", "{{instance}} {{kind}}"}},
	},
	{
		kind: stacked, title: "Size of the records", unit: "bytes",
		description: "Estimated size of the records in the database.",
		queries:     []query{{"holdfast_record_bytes{@}", "{{instance}} {{kind}}"}},
	},
	{
		kind: lines, title: "Providers known", unit: "short",
		description: "Distinct peers in the provider records of a node.",
		queries:     []query{{"holdfast_record_providers{@}", "{{instance}}"}},
	},
	{
		kind: stacked, title: "Records offered by peers", unit: "wps",
		description: "Outcome of the records that peers sent: stored; older: the stored value is better; invalid; refused: a quota or the disk is full; failed: an error of the database.",
		queries:     []query{{"rate(holdfast_record_puts_total{@}[@])", "{{instance}} {{kind}} {{outcome}}"}},
	},
	{
		kind: stacked, title: "Refused by quotas", unit: "wps",
		description: "Records of other peers that were refused because a quota was reached, by quota. For addresses_per_provider: provider records stored with fewer addresses. bytes is storage.max_bytes, value_bytes is values.max_size; the others have the same names in [quotas].",
		queries:     rates("holdfast_quota_refusals_total", "quota"),
	},
	{
		kind: lines, title: "Quotas in use", unit: "percentunit",
		description: "Used share of the quotas: providers, space for new records in the fullest database file, and values. Values include the node's own, which no quota counts. At 1 new records are refused; stored ones stay.",
		alerts:      []string{"DBGrowing", "DBWritesRefused"},
		steps:       above(0.8, 1),
		queries: []query{
			{`holdfast_record_providers{@} / on (job, instance) holdfast_quota_limit{@,quota="providers"}`, "{{instance}} providers"},
			{"holdfast_db_fill_ratio{@}", "{{instance}} bytes"},
			{`holdfast_records{@,kind="value"} / on (job, instance) holdfast_quota_limit{@,quota="values"}`, "{{instance}} values"},
			{`holdfast_record_bytes{@,kind="value"} / on (job, instance) holdfast_quota_limit{@,quota="values_size"}`, "{{instance}} size of values"},
		},
	},
	{
		kind: stacked, title: "Invalid records", unit: "wps",
		description: "Records refused as invalid, by reason. On a private network unknown_namespace is a namespace that only some nodes accept.",
		queries:     rates("holdfast_record_validation_failures_total", "reason"),
	},
	{
		kind: stacked, title: "Records expired", unit: "ops",
		description: "Records removed because they had expired.",
		queries:     rates("holdfast_records_expired_total", "kind"),
	},
	{
		kind: lines, title: "Time since the last expiry", unit: "s",
		description: "Time since expired records were last removed, or since the start: at most storage.expiry_interval, a minute by default. Expired records are never served.",
		alerts:      []string{"ExpiryStalled"},
		steps:       []step{{0, "green"}, {1800, "orange"}},
		queries: []query{{
			"time() - (holdfast_expiry_last_success_timestamp_seconds{@} > 0 or process_start_time_seconds{@})", "{{instance}}",
		}},
	},
	{
		kind: lines, title: "Expiry duration", unit: "s",
		description: "Duration of one run that removes expired records.",
		queries:     quantiles("holdfast_expiry_duration_seconds"),
	},
	{
		kind: lines, title: "Failed expiry and snapshots", unit: "none",
		description: "Failed runs of expiry and failed snapshots. The next run retries; several failures in a row mean that the disk refuses writes.",
		queries: []query{
			{"increase(holdfast_expiry_failures_total{@}[@])", "{{instance}} expiry"},
			{"increase(holdfast_snapshot_failures_total{@}[@])", "{{instance}} snapshot"},
		},
	},
}}

var republished = row{title: "Republish", panels: []panel{
	{
		kind: stacked, title: "Published keys", unit: "short",
		description: "Keys that the nodes publish and republish every republish.interval, 22 hours by default.",
		queries:     []query{{"holdfast_republish_keys{@}", "{{instance}} {{kind}}"}},
	},
	{
		kind: lines, title: "Overdue keys", unit: "short",
		description: "Keys that are due for republishing and not started yet. Short peaks are keys that were published together; a number that does not fall means that the node cannot keep up.",
		queries:     []query{{"holdfast_republish_overdue_keys{@}", "{{instance}}"}},
	},
	{
		kind: lines, title: "Keys never published", unit: "short",
		description: "Keys that wait for their first publication, and those that were tried and that too few peers stored (failed): the network does not find them.",
		queries:     []query{{"holdfast_republish_unannounced_keys{@}", "{{instance}} {{outcome}}"}},
		alerts:      []string{"PublishRefused"},
	},
	{
		kind: lines, title: "Keys being republished", unit: "none",
		description: "At most eight at once.",
		queries:     []query{{"holdfast_republish_in_flight{@}", "{{instance}}"}},
	},
	{
		kind: stacked, title: "Republications", unit: "ops",
		description: "Keys published, for the first time or again, by kind and outcome. Those that failed, or that fewer than half of the peers stored (partial), are retried after a growing pause.",
		queries:     []query{{"rate(holdfast_republish_total{@}[@])", "{{instance}} {{kind}} {{outcome}}"}},
	},
	{
		kind: lines, title: "Republish lag", unit: "s",
		description: "Time from when a key was due until its republishing started. Records that are not republished in time expire.",
		queries:     quantiles("holdfast_republish_lag_seconds"),
	},
	{
		kind: lines, title: "Holders reached", unit: "none", top: 20,
		description: "Peers that stored a republished record: the median, the 5th percentile, and the smallest number for any key at its last try. 20 is all; a smaller network has fewer.",
		queries: []query{
			{"histogram_quantile(0.5, sum by (instance, le) (rate(holdfast_republish_replicas_bucket{@}[@])))", "{{instance}} median"},
			{"histogram_quantile(0.05, sum by (instance, le) (rate(holdfast_republish_replicas_bucket{@}[@])))", "{{instance}} 5 %"},
			{"holdfast_republish_fewest_holders{@} and holdfast_republish_fewest_holders_keys{@} > 0", "{{instance}} fewest, last try"},
		},
	},
	{
		kind: lines, title: "Time since no key was overdue", unit: "s",
		description: "Time since the last scrape with no overdue key, or since the start.",
		alerts:      []string{"RepublishFallingBehind"},
		steps:       above(3600, 6*3600),
		queries: []query{{
			"time() - (holdfast_republish_last_cycle_timestamp_seconds{@} > 0 or process_start_time_seconds{@})", "{{instance}}",
		}},
	},
	{
		kind: lines, title: "Time since the last republished key", unit: "s",
		description: "Time since any key was republished; absent until the first one after a start.",
		queries:     []query{{"time() - (holdfast_republish_last_success_timestamp_seconds{@} > 0)", "{{instance}}"}},
	},
	{
		kind: lines, title: "Peers asked per republished key", unit: "none",
		description: "Cost of a republication: peers that its lookup asked, on average.",
		queries: []query{{
			"sum by (instance) (rate(holdfast_republish_find_node_total{@}[@])) / (sum by (instance) (rate(holdfast_republish_total{@}[@])) > 0)", "{{instance}}",
		}},
	},
}}

var database = row{title: "Database", panels: []panel{
	{
		kind: lines, title: "Database size", unit: "bytes",
		description: "Size of the files, the part of them in use, and storage.max_bytes. New records are refused shortly before that limit. Files shrink only at a start (storage.compact_above); free space in them is reused before they grow.",
		queries: []query{
			{"holdfast_db_size_bytes{@}", "{{instance}} files"},
			{"holdfast_db_size_bytes{@} - holdfast_db_free_bytes{@}", "{{instance}} in use"},
			{"holdfast_db_max_bytes{@}", "{{instance}} limit"},
			{"holdfast_db_copies_bytes{@} > 0", "{{instance}} old copies"},
		},
	},
	{
		kind: lines, title: "Free disk space", unit: "bytes",
		description: "Space that the file system of the data directory has left for the node, and its size. When the disk is full, new records may be refused and publishing may fail.",
		alerts:      []string{"DiskFull", "DiskFilling"},
		queries: []query{
			{"holdfast_disk_free_bytes{@}", "{{instance}} free"},
			{"holdfast_disk_size_bytes{@}", "{{instance}} size"},
		},
	},
	{
		kind: lines, title: "Free share of the disk", unit: "percentunit", top: 1,
		description: "Free share of the file system of the data directory. Other programs may use it too. Below 5 % with less than 5 GiB left there is an alert, and also when the disk would be full within a day.",
		alerts:      []string{"DiskFilling"},
		steps:       below(0.05, 0.15),
		queries:     []query{{"instance:holdfast_disk_free:ratio{@}", "{{instance}}"}},
	},
	{
		kind: lines, title: "Free share of the database", unit: "percentunit", top: 1,
		description: "Unused share of the database files. After a mass expiry it may be most of them; a restart returns the space to the disk (storage.compact_above).",
		alerts:      []string{"DBFreeHigh"},
		steps:       []step{{0, "green"}, {0.5, "orange"}},
		queries:     []query{{"holdfast_db_free_bytes{@} / holdfast_db_size_bytes{@}", "{{instance}}"}},
	},
	{
		kind: lines, title: "Commit duration", unit: "s",
		description: "Duration of a write transaction, fsync included: the speed of the disk.",
		alerts:      []string{"DBCommitSlow"},
		steps:       above(0.25, 1),
		queries:     quantiles("holdfast_db_commit_duration_seconds"),
	},
	{
		kind: lines, title: "Commits", unit: "ops",
		description: "Write transactions. Under load they become larger, not more frequent.",
		queries:     []query{{"rate(holdfast_db_commit_duration_seconds_count{@}[@])", "{{instance}}"}},
	},
	{
		kind: lines, title: "Writes per commit", unit: "none",
		description: "Writes that one transaction made durable; at most 4096.",
		queries:     quantiles("holdfast_db_batch_records"),
	},
	{
		kind: lines, title: "Queued writes", unit: "none",
		description: "Writes that wait for a transaction. Falls to 0 between commits; if it stays high, the disk is too slow for the load.",
		queries:     []query{{"holdfast_db_pending_writes{@}", "{{instance}}"}},
	},
	{
		kind: lines, title: "Writes refused", unit: "wps",
		description: "Writes refused because the queue, a quota or a file was full; see Refused by quotas.",
		alerts:      []string{"DBWritesRefused"},
		queries:     []query{{"rate(holdfast_db_writes_rejected_total{@}[@])", "{{instance}}"}},
	},
	{
		kind: stacked, title: "Database errors by operation", unit: "none",
		description: "Operations that failed because the database was full or corrupted, or an fsync failed. After a failed fsync the database refuses all writes until the restart (stopped writing). Damaged files were moved aside and are still there.",
		alerts:      []string{"DBErrors", "DBFailed", "DBDamaged"},
		queries: []query{
			{"increase(holdfast_db_errors_total{@}[@])", "{{instance}} {{op}}"},
			{"holdfast_db_failed{@} > 0", "{{instance}} stopped writing"},
			{"holdfast_db_corrupt_files{@} > 0", "{{instance}} damaged files"},
			{"holdfast_disk_full{@} > 0", "{{instance}} disk full"},
		},
	},
	{
		kind: lines, title: "Snapshot duration", unit: "s",
		description: "Time to save the routing table.",
		queries:     quantiles("holdfast_snapshot_duration_seconds"),
	},
}}
