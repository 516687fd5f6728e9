package main

import (
	"bytes"
	"encoding/json"
	"strings"
)

// uid identifies the dashboard in Grafana; it never changes.
const uid = "holdfast-node"

// Sizes on Grafana's grid of 24 columns.
const (
	columns      = 24
	numberWidth  = 4
	numberHeight = 4
	graphWidth   = 8
	graphHeight  = 8
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
		"links":         []any{},
		"panels":        panels(),
	})
	return out.Bytes(), err
}

func annotations() []object {
	return []object{
		{
			"name": "Annotations & Alerts", "type": "dashboard", "builtIn": 1, "enable": true, "hide": true,
			"datasource": object{"type": "grafana", "uid": "-- Grafana --"}, "iconColor": "rgba(0, 211, 255, 1)",
		},
		{
			"name": "Restarts", "enable": true, "iconColor": "purple", "datasource": datasource,
			// The value is the moment of the start in milliseconds.
			"expr": variables.Replace("process_start_time_seconds{@} * 1000"), "useValueForTime": true,
			"titleFormat": "Start", "textFormat": "{{instance}}", "tagKeys": "instance", "step": "60s",
		},
	}
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

// panels lays out all rows from top to bottom.
func panels() []object {
	var out []object
	id, y := 0, 0
	for _, r := range rows() {
		id++
		out = append(out, object{
			"id": id, "type": "row", "title": r.title, "collapsed": false, "panels": []any{},
			"gridPos": object{"x": 0, "y": y, "w": columns, "h": 1},
		})
		y++
		x, height := 0, 0
		for _, p := range r.panels {
			w, h := p.size()
			if x+w > columns {
				x, y = 0, y+height
			}
			id++
			built := p.build()
			built["id"] = id
			built["gridPos"] = object{"x": x, "y": y, "w": w, "h": h}
			out = append(out, built)
			x, height = x+w, h
		}
		y += height
	}
	return out
}

func (p *panel) size() (w, h int) {
	w, h = graphWidth, graphHeight
	if p.kind == number {
		w, h = numberWidth, numberHeight
	}
	if p.width != 0 {
		w = p.width
	}
	return w, h
}

func (p *panel) build() object {
	out := object{
		"title": p.title, "description": p.description, "datasource": datasource,
		"targets": p.targets(), "transparent": false,
	}
	switch p.kind {
	case number:
		p.buildNumber(out)
	case heat:
		p.buildHeat(out)
	default:
		p.buildGraph(out)
	}
	return out
}

func (p *panel) targets() []object {
	var out []object
	for i, q := range p.queries {
		out = append(out, object{
			"refId": string(rune('A' + i)), "datasource": datasource, "editorMode": "code",
			"expr": variables.Replace(q.expr), "legendFormat": q.legend, "range": true, "instant": false, "format": "time_series",
		})
	}
	return out
}

func (p *panel) buildNumber(out object) {
	steps := []object{}
	for i, s := range p.steps {
		at := any(s.from)
		if i == 0 {
			at = nil // Grafana's first step has no lower bound
		}
		steps = append(steps, object{"color": s.color, "value": at})
	}
	mode := "background"
	if len(steps) == 0 {
		steps, mode = append(steps, object{"color": "blue", "value": nil}), "value"
	}
	defaults := object{
		"unit": p.unit, "color": object{"mode": "thresholds"}, "mappings": []any{},
		"thresholds": object{"mode": "absolute", "steps": steps},
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
		"wideLayout": true, "showPercentChange": false,
		"reduceOptions": object{"calcs": []string{calc}, "fields": "", "values": false},
	}
}

func (p *panel) buildGraph(out object) {
	stacking, fill := "none", 10
	if p.kind == stacked {
		stacking, fill = "normal", 40
	}
	defaults := object{
		"unit": p.unit, "min": 0, "color": object{"mode": "palette-classic"}, "mappings": []any{},
		"thresholds": object{"mode": "absolute", "steps": []object{{"color": "green", "value": nil}}},
		"custom": object{
			"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": fill, "gradientMode": "none",
			"showPoints": "never", "pointSize": 5, "spanNulls": false,
			"stacking":  object{"group": "A", "mode": stacking},
			"axisLabel": "", "axisPlacement": "auto", "axisColorMode": "text", "axisBorderShow": false, "axisCenteredZero": false,
			"barAlignment": 0, "scaleDistribution": object{"type": "linear"}, "thresholdsStyle": object{"mode": "off"},
			"hideFrom": object{"legend": false, "tooltip": false, "viz": false},
		},
	}
	if p.top != 0 {
		defaults["max"] = p.top
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
