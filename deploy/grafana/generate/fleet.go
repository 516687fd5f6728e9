package main

// column is a column of the table of nodes. Its query has one series for each node.
type column struct {
	title string
	expr  string
	label string // the column shows this label instead of the value
	unit  string
	steps []step
	texts []object // texts and colours for values
}

// stateColours are the colours of the states. A node that is down or hangs has no state.
var stateColours = []object{
	text("starting", "starting", "blue"), text("joining", "joining", "blue"), text("client", "client", "green"),
	text("server", "server", "green"), text("isolated", "ISOLATED", "red"), text("stopping", "stopping", "orange"),
	{"type": "special", "options": object{"match": "null", "result": object{"text": "unknown", "color": "red"}}},
}

var fleetColumns = []column{
	{title: "Up", expr: "sum by (job, instance) (up{@})", texts: []object{text("1", "up", "green"), text("0", "DOWN", "red")}},
	{title: "State", expr: "sum by (job, instance, state) (holdfast_state{@}) == 1", label: "state", texts: stateColours},
	{title: "Version", expr: "sum by (job, instance, version) (holdfast_build_info{@})", label: "version"},
	{title: "Uptime", expr: "sum by (job, instance) (time() - process_start_time_seconds{@})", unit: "s", steps: []step{{0, "orange"}, {600, "green"}}},
	{title: "Verified", expr: "sum by (job, instance) (holdfast_routing_table_verified_peers{@})", steps: below(1, 10)},
	{title: "Requests", expr: "sum by (job, instance) (instance:holdfast_rpc_inbound_requests:rate5m{@})", unit: "reqps"},
	{title: "p95", expr: "sum by (job, instance) (instance:holdfast_rpc_inbound_duration_seconds:p95_rate5m{@})", unit: "s", steps: above(0.25, 1)},
	{title: "Failed lookups", expr: "sum by (job, instance) (instance:holdfast_lookups_failed:ratio_rate15m{@})", unit: "percentunit", steps: above(0.05, 0.2)},
	{title: "Database", expr: "sum by (job, instance) (holdfast_db_fill_ratio{@})", unit: "percentunit", steps: above(0.8, 0.95)},
	{title: "Disk free", expr: "sum by (job, instance) (instance:holdfast_disk_free:ratio{@})", unit: "percentunit", steps: below(0.05, 0.15)},
	{title: "Memory", expr: "sum by (job, instance) (instance:holdfast_memory_held:ratio{@})", unit: "percentunit", steps: above(0.7, 0.85)},
	{title: "Alerts", expr: "count by (job, instance) (" + firing + ") or 0 * sum by (job, instance) (up{@})", steps: []step{{0, "green"}, {1, "red"}}},
}

func fleetQueries() []query {
	var qs []query
	for _, c := range fleetColumns {
		qs = append(qs, query{c.expr, "{{instance}}"})
	}
	return qs
}

// text shows a value as text in a colour.
func text(value, shown, colour string) object {
	return object{"type": "value", "options": object{value: object{"text": shown, "color": colour}}}
}

// buildFleet makes one table of all queries: those of a node become its row.
func (p *panel) buildFleet(out object) {
	for _, q := range out["targets"].([]object) {
		q["format"], q["instant"], q["range"] = "table", true, false
	}
	hidden := object{"Time": true, "job": true}
	names := object{"instance": "Node"}
	order := object{"instance": 0}
	overrides := []object{override("Node", object{"id": "links", "value": nodeLinks})}
	for i, c := range fleetColumns {
		field := "Value #" + refID(i)
		if c.label != "" {
			hidden[field], field = true, c.label
		}
		names[field], order[field] = c.title, i+1
		overrides = append(overrides, c.override())
	}
	out["type"] = "table"
	out["transformations"] = []object{
		{"id": "merge", "options": object{}},
		{"id": "organize", "options": object{"excludeByName": hidden, "renameByName": names, "indexByName": order}},
	}
	out["fieldConfig"] = object{
		"defaults": object{
			"unit": p.unit, "mappings": []any{}, "color": object{"mode": "thresholds"}, "noValue": "-",
			"thresholds": object{"mode": "absolute", "steps": thresholds(nil)},
			"custom":     object{"align": "auto", "cellOptions": object{"type": "auto"}, "inspect": false, "filterable": false},
		},
		"overrides": overrides,
	}
	out["options"] = object{
		"cellHeight": "sm", "showHeader": true, "frameIndex": 0,
		"footer": object{"show": false, "reducer": []string{"sum"}, "countRows": false, "fields": ""},
		"sortBy": []object{{"displayName": "Alerts", "desc": true}},
	}
}

// statusPage returns a link to a section of the status page of a node, or to its top. The page
// shows what the node does now, and explains its last lookups.
func statusPage(instance, section string) object {
	url := "http://" + instance + "/"
	if section != "" {
		url += "#" + section
	}
	return object{"title": "Status page of " + instance, "url": url, "targetBlank": true}
}

// nodeLinks lead from the name of a node.
var nodeLinks = []object{
	statusPage("${__value.text}", ""),
	{"title": "This dashboard for ${__value.text}", "url": "/d/" + uid + "?var-instance=${__value.text}&${datasource:queryparam}&${job:queryparam}&${__url_time_range}", "targetBlank": false},
}

// override returns how Grafana shows the column.
func (c *column) override() object {
	var properties []object
	if c.unit != "" {
		properties = append(properties, object{"id": "unit", "value": c.unit})
	}
	if c.texts != nil {
		properties = append(properties, object{"id": "mappings", "value": c.texts})
	}
	if c.steps != nil {
		properties = append(properties, object{"id": "thresholds", "value": object{"mode": "absolute", "steps": thresholds(c.steps)}})
	}
	if c.texts != nil || c.steps != nil {
		properties = append(properties, object{"id": "custom.cellOptions", "value": object{"type": "color-text"}})
	}
	return override(c.title, properties...)
}

func override(field string, properties ...object) object {
	return object{"matcher": object{"id": "byName", "options": field}, "properties": properties}
}

// buildAlarms lists the alerts of the selected jobs. It does not filter by node, because some
// alerts are about all nodes of a job.
func (p *panel) buildAlarms(out object) {
	delete(out, "targets")
	out["type"] = "alertlist"
	out["options"] = object{
		"alertName": "Holdfast", "alertInstanceLabelFilter": `{job=~"${job:regex}"}`, "dashboardAlerts": false,
		"groupMode": "default", "groupBy": []any{}, "maxItems": 20, "sortOrder": 3, // by importance
		"stateFilter": object{"firing": true, "pending": true, "error": true, "noData": false, "normal": false},
		"viewMode":    "list",
	}
}
