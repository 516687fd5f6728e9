package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// uid identifies the dashboard in Grafana; it never changes.
const uid = "holdfast-node"

// Sizes on Grafana's grid of 24 columns.
const (
	columns      = 24
	numberWidth  = 3
	numberHeight = 4
	graphWidth   = 8
	graphHeight  = 8
	listHeight   = 9
)

// variables expands the abbreviations in the queries.
var variables = strings.NewReplacer(
	"{@", `{job=~"$job",instance=~"$instance"`,
	"[@]", "[$__rate_interval]",
)

// object is a JSON object; its keys are written in alphabetical order.
type object = map[string]any

var datasource = object{"type": "prometheus", "uid": "${datasource}"}

// dashboardJSON returns the dashboard as Grafana imports it.
func dashboardJSON() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(object{
		"uid":           uid,
		"title":         "Holdfast",
		"description":   "A Holdfast DHT node: is it up, is it connected, does it keep up, is its disk healthy; followed by each part in detail.",
		"tags":          []string{"holdfast", "dht", "libp2p"},
		"schemaVersion": 39,
		"editable":      true,
		"graphTooltip":  1, // the crosshair is shared
		"refresh":       "30s",
		"time":          object{"from": "now-6h", "to": "now"},
		"timezone":      "browser",
		"annotations":   object{"list": annotations()},
		"templating":    object{"list": templates()},
		"links":         []object{link("Runbooks", "runbooks.md"), link("Documentation", "README.md")},
		"panels":        panels(),
	})
	return out.Bytes(), err
}

const docs = "https://github.com/holdfast-dht/holdfast/blob/main/docs/"

// link returns a link to a page of the documentation.
func link(title, page string) object {
	return object{
		"title": title, "type": "link", "url": docs + page, "icon": "doc", "targetBlank": true,
		"tooltip": "", "tags": []any{}, "asDropdown": false, "includeVars": false, "keepTime": false,
	}
}

// annotations mark events in all graphs.
func annotations() []object {
	return []object{
		{
			"name": "Annotations & Alerts", "type": "dashboard", "builtIn": 1, "enable": true, "hide": true,
			"datasource": object{"type": "grafana", "uid": "-- Grafana --"}, "iconColor": "rgba(0, 211, 255, 1)",
		},
		moments("Restarts", "purple", "Start", "{{instance}}", "process_start_time_seconds{@}"),
		// The first load is at the start.
		moments("Configuration reloads", "blue", "Configuration reloaded", "{{instance}}",
			"(holdfast_config_last_reload_success_timestamp_seconds{@} > process_start_time_seconds{@} + 60)"),
		// A start whose version differs from that of an hour ago.
		moments("Version changes", "green", "New version", "{{instance}} {{version}}",
			"process_start_time_seconds{@} * on (job, instance) group_left (version, revision) (holdfast_build_info{@} unless on (job, instance, version, revision) holdfast_build_info{@} offset 1h)"),
		// Grafana draws consecutive points as a region.
		annotation("Isolation", "red", "Isolated", "{{instance}}", `holdfast_state{@,state="isolated"} == 1`),
	}
}

// annotation marks the times at which a query has a result.
func annotation(name, colour, title, text, expr string) object {
	return object{
		"name": name, "enable": true, "iconColor": colour, "datasource": datasource,
		"expr": variables.Replace(expr), "titleFormat": title, "textFormat": text, "tagKeys": "instance", "step": "60s",
	}
}

// moments marks the times that are the values of a query, in seconds.
func moments(name, colour, title, text, expr string) object {
	out := annotation(name, colour, title, text, expr+" * 1000")
	out["useValueForTime"] = true
	return out
}

func templates() []object {
	return []object{
		{
			"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
			"hide": 0, "includeAll": false, "multi": false, "options": []any{}, "refresh": 1, "regex": "",
		},
		label("job", "Job", "label_values(holdfast_build_info, job)"),
		label("instance", "Instance", `label_values(holdfast_build_info{job=~"$job"}, instance)`),
	}
}

// label returns a variable that selects values of a label. "All" includes nodes that
// are down now.
func label(name, title, from string) object {
	return object{
		"name": name, "label": title, "type": "query", "datasource": datasource,
		"definition": from, "query": object{"qryType": 1, "query": from, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
		"multi": true, "includeAll": true, "allValue": ".+", "current": object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}},
		"hide": 0, "options": []any{}, "refresh": 2, "regex": "", "sort": 1,
	}
}

// panels lays out all rows from top to bottom. A collapsed row contains its panels, at the
// places that they get when it is opened.
func panels() []object {
	var out []object
	id, y := 0, 0
	for i, r := range rows() {
		id++
		header := object{
			"id": id, "type": "row", "title": r.title, "collapsed": i > 0, "panels": []any{},
			"gridPos": object{"x": 0, "y": y, "w": columns, "h": 1},
		}
		out = append(out, header)
		y++
		built, bottom := r.build(id, y)
		id += len(built)
		if i > 0 {
			header["panels"] = built
		} else {
			out, y = append(out, built...), bottom
		}
	}
	return out
}

// build lays out the panels of a row from y down. Their IDs follow id. bottom is the first free
// line below them.
func (r *row) build(id, y int) (out []object, bottom int) {
	x := 0
	for i, p := range r.panels {
		w, h := p.size()
		if x+w > columns {
			x, y = 0, bottom
		}
		built := p.build(r.section)
		built["id"] = id + 1 + i
		built["gridPos"] = object{"x": x, "y": y, "w": w, "h": h}
		out = append(out, built)
		x, bottom = x+w, max(bottom, y+h)
	}
	return out, bottom
}

func (p *panel) size() (w, h int) {
	w, h = graphWidth, graphHeight
	if p.kind == number {
		w, h = numberWidth, numberHeight
	}
	if p.kind == fleet || p.kind == alarms {
		h = listHeight
	}
	if p.width != 0 {
		w = p.width
	}
	return w, h
}

func (p *panel) build(section string) object {
	out := object{
		"title": p.title, "description": p.description, "datasource": datasource,
		"targets": p.targets(), "links": p.runbooks(), "transparent": false,
	}
	switch p.kind {
	case number:
		p.buildNumber(out)
	case heat:
		p.buildHeat(out)
	case fleet:
		p.buildFleet(out)
	case alarms:
		p.buildAlarms(out)
	default:
		p.buildGraph(out, section)
	}
	return out
}

func (p *panel) targets() []object {
	var out []object
	for i, q := range p.queries {
		out = append(out, object{
			"refId": refID(i), "datasource": datasource, "editorMode": "code",
			"expr": variables.Replace(q.expr), "legendFormat": q.legend, "range": true, "instant": false, "format": "time_series",
		})
	}
	return out
}

// ofNodes reports whether each series belongs to one node.
func (p *panel) ofNodes() bool {
	return !slices.ContainsFunc(p.queries, func(q query) bool { return !strings.Contains(q.legend, "{{instance}}") })
}

// refID names the query with index i.
func refID(i int) string { return string(rune('A' + i)) }

// runbooks returns the links of a panel to the runbooks of its alerts.
func (p *panel) runbooks() []object {
	out := []object{}
	for _, a := range p.alerts {
		name := "Holdfast" + a
		out = append(out, link("Runbook: "+name, "runbooks.md#"+strings.ToLower(name)))
	}
	return out
}

// thresholds returns steps as Grafana stores them; without any, one colour.
func thresholds(steps []step) []object {
	if len(steps) == 0 {
		steps = []step{{0, "blue"}}
	}
	var out []object
	for i, s := range steps {
		at := any(s.from)
		if i == 0 {
			at = nil // Grafana's first step has no lower bound
		}
		out = append(out, object{"color": s.color, "value": at})
	}
	return out
}

func (p *panel) buildNumber(out object) {
	mode := "background"
	if len(p.steps) == 0 {
		mode = "value"
	}
	defaults := object{
		"unit": p.unit, "color": object{"mode": "thresholds"}, "mappings": []any{},
		"thresholds": object{"mode": "absolute", "steps": thresholds(p.steps)},
	}
	if p.absent != "" {
		defaults["noValue"] = p.absent
	}
	calc := "lastNotNull"
	if p.worst {
		calc = "max"
	}
	out["type"] = "stat"
	out["fieldConfig"] = object{"defaults": defaults, "overrides": []any{}}
	out["options"] = object{
		"colorMode": mode, "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "value",
		"wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard",
		"reduceOptions": object{"calcs": []string{calc}, "fields": "", "values": false},
	}
}

func (p *panel) buildGraph(out object, section string) {
	stacking, fill := "none", 10
	if p.kind == stacked {
		stacking, fill = "normal", 40
	}
	drawn := "off"
	if len(p.steps) > 0 {
		drawn = "dashed"
	}
	defaults := object{
		"unit": p.unit, "min": 0, "color": object{"mode": "palette-classic"}, "mappings": []any{},
		"thresholds": object{"mode": "absolute", "steps": thresholds(p.steps)},
		"custom": object{
			"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": fill, "gradientMode": "none",
			"showPoints": "never", "pointSize": 5, "spanNulls": false,
			"stacking":  object{"group": "A", "mode": stacking},
			"axisLabel": "", "axisPlacement": "auto", "axisColorMode": "text", "axisBorderShow": false, "axisCenteredZero": false,
			"barAlignment": 0, "scaleDistribution": object{"type": "linear"}, "thresholdsStyle": object{"mode": drawn},
			"hideFrom": object{"legend": false, "tooltip": false, "viz": false},
		},
	}
	if p.top != 0 {
		defaults["max"] = p.top
	}
	if p.ofNodes() {
		defaults["links"] = []object{statusPage("${__field.labels.instance}", section)}
	}
	out["type"] = "timeseries"
	out["fieldConfig"] = object{"defaults": defaults, "overrides": []any{}}
	out["options"] = object{
		"legend":  object{"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": []string{"lastNotNull", "max"}},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}
}

// buildHeat draws each series as a row of cells, ordered by name.
func (p *panel) buildHeat(out object) {
	out["type"] = "heatmap"
	out["fieldConfig"] = object{
		"defaults": object{
			"unit":   p.unit,
			"custom": object{"hideFrom": object{"legend": false, "tooltip": false, "viz": false}, "scaleDistribution": object{"type": "linear"}},
		},
		"overrides": []any{},
	}
	out["options"] = object{
		"calculate": false, "cellGap": 1, "showValue": "never",
		"cellValues":   object{"unit": p.unit},
		"color":        object{"mode": "scheme", "scheme": "Viridis", "fill": "dark-orange", "exponent": 0.5, "scale": "exponential", "steps": 64, "reverse": false, "min": 0, "max": p.top},
		"exemplars":    object{"color": "rgba(255,0,255,0.7)"},
		"filterValues": object{"le": 1e-9}, // empty buckets stay blank
		"legend":       object{"show": true},
		"rowsFrame":    object{"layout": "auto"},
		"tooltip":      object{"mode": "single", "showColorScale": false, "yHistogram": false},
		"yAxis":        object{"axisPlacement": "left", "reverse": false, "unit": "none"},
	}
}
