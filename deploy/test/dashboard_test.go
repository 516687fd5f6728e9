package deploytest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// rateInterval replaces $__rate_interval in queries that are only parsed. No query
// contains it otherwise.
const rateInterval = 7919 * time.Second

// substitute replaces the variables as Grafana does.
func substitute(expr, job, instance string, interval time.Duration) string {
	return strings.NewReplacer(
		"$__rate_interval", interval.String(), "$job", job, "$instance", instance,
	).Replace(expr)
}

// parseQuery parses a query of the dashboard; the variables keep their names.
func parseQuery(t testing.TB, expr string) parser.Expr {
	t.Helper()
	return parse(t, substitute(expr, "$job", "$instance", rateInterval))
}

// rows returns each row with its panels.
func (b board) rows() (rows []panel) {
	for _, p := range b.Panels {
		if p.Type == "row" {
			rows = append(rows, p)
		} else if len(rows) > 0 {
			last := &rows[len(rows)-1]
			last.Panels = append(last.Panels, p)
		}
	}
	return rows
}

// graphs returns the panels of all rows.
func (b board) graphs() (all []panel) {
	for _, r := range b.rows() {
		all = append(all, r.Panels...)
	}
	return all
}

// dashboardUID is in bookmarks and links.
const dashboardUID = "holdfast-node"

func TestDashboardIdentity(t *testing.T) {
	b := readBoard(t)
	require.Equal(t, dashboardUID, b.UID)
	require.Equal(t, 39, b.SchemaVersion)
	require.Nil(t, b.Inputs, "an import must not require input")
	require.Nil(t, b.ID, "an ID is valid in one Grafana only")
	require.NotEmpty(t, b.Title)
}

func TestDashboardVariables(t *testing.T) {
	list := readBoard(t).Templating.List
	require.Len(t, list, 3)
	require.Equal(t, variable{Name: "datasource", Type: "datasource"}, list[0])
	for i, name := range []string{"job", "instance"} {
		v := list[i+1]
		require.Equal(t, name, v.Name)
		require.Equal(t, "query", v.Type)
		require.Equal(t, datasource{"prometheus", "${datasource}"}, v.Datasource)
		require.True(t, v.Multi && v.IncludeAll, name)
		require.Equal(t, ".+", v.AllValue)
		require.Contains(t, v.Definition, "label_values(holdfast_build_info")
	}
}

// TestDashboardAnnotations checks that the events that operators look for are marked.
func TestDashboardAnnotations(t *testing.T) {
	marks := map[string]string{} // the metric that shows each event
	for _, a := range readBoard(t).Annotations.List {
		if a.BuiltIn == 1 {
			continue
		}
		require.Equal(t, datasource{"prometheus", "${datasource}"}, a.Datasource, a.Name)
		t.Run(a.Name, func(t *testing.T) { checkQuery(t, a.Expr) })
		marks[a.Name] = a.Expr
	}
	require.Len(t, marks, 4)
	require.Contains(t, marks["Restarts"], "process_start_time_seconds")
	require.Contains(t, marks["Configuration reloads"], "holdfast_config_last_reload_success_timestamp_seconds")
	require.Contains(t, marks["Version changes"], "holdfast_build_info")
	require.Contains(t, marks["Isolation"], `state="isolated"`)
}

// units are the Grafana units in use. Grafana shows a misspelt one as text.
var units = strings.Fields("none short s bytes Bps percentunit reqps ops cps wps")

func TestDashboardPanels(t *testing.T) {
	b := readBoard(t)
	ids, titles := map[int]bool{}, map[string]bool{}
	for _, p := range append(b.rows(), b.graphs()...) {
		require.NotEmpty(t, p.Title)
		require.False(t, ids[p.ID], "%s: two panels have the ID %d", p.Title, p.ID)
		require.False(t, titles[p.Title], "two panels have the title %q", p.Title)
		ids[p.ID], titles[p.Title] = true, true
	}
	for _, p := range b.graphs() {
		require.GreaterOrEqual(t, len(p.Description), 20, "%s: describe what it shows, and which values are good or bad", p.Title)
		require.Equal(t, datasource{"prometheus", "${datasource}"}, p.Datasource, p.Title)
		if p.Type == "alertlist" {
			continue // Grafana asks for the alerts by itself
		}
		require.Contains(t, units, p.FieldConfig.Defaults.Unit, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		refs := map[string]bool{}
		for _, q := range p.Targets {
			require.False(t, refs[q.RefID], "%s: two queries %s", p.Title, q.RefID)
			refs[q.RefID] = true
			require.NotEmpty(t, q.LegendFormat, p.Title)
			require.Equal(t, datasource{"prometheus", "${datasource}"}, q.Datasource, p.Title)
			t.Run(p.Title+" "+q.RefID, func(t *testing.T) { checkQuery(t, q.Expr) })
		}
	}
}

// TestDashboardLayout checks that only the first row is open, that it has numbers, the nodes
// and the alerts, that the others have graphs over time, and that no panel overlaps another or
// leaves the grid. The panels of a closed row take no space until it is opened.
func TestDashboardLayout(t *testing.T) {
	b := readBoard(t)
	require.Equal(t, "row", b.Panels[0].Type)
	require.Len(t, b.rows(), 10)
	var open [24][1000]string
	for i, row := range b.rows() {
		require.Equal(t, i > 0, row.Collapsed, row.Title)
		allowed := []string{"timeseries", "heatmap"}
		if i == 0 {
			allowed = []string{"stat", "table", "alertlist"}
		}
		takePlace(t, row, &open)
		within := open // a copy
		for _, p := range row.Panels {
			require.Contains(t, allowed, p.Type, p.Title)
			require.Greater(t, p.GridPos.Y, row.GridPos.Y, p.Title)
			if i == 0 {
				takePlace(t, p, &open)
			} else {
				takePlace(t, p, &within)
			}
		}
	}
}

// takePlace marks the place of a panel on the grid.
func takePlace(t *testing.T, p panel, taken *[24][1000]string) {
	t.Helper()
	g := p.GridPos
	require.True(t, g.X >= 0 && g.W > 0 && g.X+g.W <= 24 && g.H > 0, "%s leaves the grid", p.Title)
	for x := g.X; x < g.X+g.W; x++ {
		for y := g.Y; y < g.Y+g.H; y++ {
			require.Empty(t, taken[x][y], "%s overlaps it", p.Title)
			taken[x][y] = p.Title
		}
	}
}

// find returns the only panel of a type.
func (b board) find(t *testing.T, kind string) (found panel) {
	t.Helper()
	n := 0
	for _, p := range b.graphs() {
		if p.Type == kind {
			found = p
			n++
		}
	}
	require.Equal(t, 1, n, "panels of the type %s", kind)
	return found
}

// TestDashboardFleet checks the table of nodes: each column has one value for each node, and
// the name of a node leads to its status page.
func TestDashboardFleet(t *testing.T) {
	p := readBoard(t).find(t, "table")
	for _, q := range p.Targets {
		require.True(t, q.Format == "table" && q.Instant, q.Expr)
		require.True(t, keeps(parseQuery(t, q.Expr), "job", "instance"), "%s: the rows are joined by job and instance", q.Expr)
		parser.Inspect(parseQuery(t, q.Expr), func(n parser.Node, in []parser.Node) error {
			if s, ok := n.(*parser.VectorSelector); ok {
				require.True(t, slices.ContainsFunc(in, isAggregate), "%s: other labels would make more rows", s)
			}
			return nil
		})
	}
	require.Len(t, p.Transformations, 2)
	require.Equal(t, "merge", p.Transformations[0].ID)
	columns := p.Transformations[1].Options
	var names []string
	for _, name := range columns.RenameByName {
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{"Node", "Up", "State", "Version", "Uptime", "Verified", "Requests", "p95", "Failed lookups", "Database", "Disk free", "Memory", "Alerts"}, names)
	for _, q := range p.Targets {
		value := "Value #" + q.RefID
		require.True(t, columns.ExcludeByName[value] || columns.RenameByName[value] != "", "%s: no column", q.Expr)
	}
	node := p.FieldConfig.Overrides[0]
	require.Equal(t, "Node", node.Matcher.Options)
	require.Contains(t, string(node.Properties[0].Value), `"http://${__value.text}/"`)
}

func isAggregate(n parser.Node) bool {
	_, ok := n.(*parser.AggregateExpr)
	return ok
}

// ofAllNodes are the graphs that sum up the selected nodes on purpose.
var ofAllNodes = map[string]string{
	"Peers by bucket": "a heat map has one row for each bucket",
	"State":           "counts nodes; the table of nodes has the state of each",
	"Reachability":    "counts nodes",
	"Versions":        "counts nodes; the table of nodes has the version of each",
}

// TestDashboardNames checks that each series of a graph names its node, and leads to the status
// page of that node, or to a section that the page has.
func TestDashboardNames(t *testing.T) {
	html, err := os.ReadFile("../../internal/statuspage/page.html")
	require.NoError(t, err)
	statusPage := string(html)
	for _, p := range readBoard(t).graphs() {
		if p.Type != "timeseries" && p.Type != "heatmap" {
			continue
		}
		_, all := ofAllNodes[p.Title]
		for _, q := range p.Targets {
			require.Equal(t, !all, keeps(parseQuery(t, q.Expr), "instance"), "%s %s: which node?", p.Title, q.RefID)
			require.Equal(t, !all, strings.Contains(q.LegendFormat, "{{instance}}"), "%s %s: which node?", p.Title, q.RefID)
		}
		if all {
			require.Empty(t, p.FieldConfig.Defaults.Links, p.Title)
		} else {
			require.Len(t, p.FieldConfig.Defaults.Links, 1, p.Title)
			page, section, _ := strings.Cut(p.FieldConfig.Defaults.Links[0].URL, "#")
			require.Equal(t, "http://${__field.labels.instance}/", page, p.Title)
			require.True(t, section == "" || strings.Contains(statusPage, `id="`+section+`"`), p.Title)
		}
	}
}

// TestDashboardRunbooks checks that each alert has a panel that links to its runbook, and that
// no panel links to a runbook that does not exist.
func TestDashboardRunbooks(t *testing.T) {
	b := readBoard(t)
	linked := map[string]bool{}
	for _, p := range b.graphs() {
		for _, l := range p.Links {
			linked[l.URL] = true
		}
	}
	for _, a := range readAlerts(t) {
		url := a.Annotations["runbook_url"]
		require.True(t, linked[url], "no panel links to the runbook of %s", a.Alert)
		delete(linked, url)
	}
	require.Empty(t, linked, "no alert has these runbooks")
	require.Equal(t, strings.TrimSuffix(runbookURL, "#"), b.Links[0].URL)
	b.find(t, "alertlist")
}

// TestDashboardThresholds checks that limits that depend on the machine or the configuration are
// drawn as shares, never as an absolute number of bytes, and that graphs draw the thresholds
// that they have.
func TestDashboardThresholds(t *testing.T) {
	drawn := 0
	for _, p := range readBoard(t).graphs() {
		d := p.FieldConfig.Defaults
		if len(d.Thresholds.Steps) < 2 {
			continue
		}
		require.NotContains(t, []string{"bytes", "Bps"}, d.Unit, p.Title)
		if p.Type == "timeseries" {
			require.Equal(t, "dashed", d.Custom.ThresholdsStyle.Mode, p.Title)
			drawn++
		}
	}
	require.GreaterOrEqual(t, drawn, 8)
}

// TestRecordedIsUsed checks that the dashboard or an alert uses each recording rule.
func TestRecordedIsUsed(t *testing.T) {
	alerts, recorded := readRules(t)
	var exprs strings.Builder
	for _, a := range alerts {
		exprs.WriteString(a.Expr)
	}
	for _, p := range readBoard(t).graphs() {
		for _, q := range p.Targets {
			exprs.WriteString(q.Expr)
		}
	}
	for _, r := range recorded {
		require.Contains(t, exprs.String(), r.Record)
	}
}

// rateFunctions are the functions that take a range of a counter.
var rateFunctions = []string{"rate", "increase", "irate"}

// forJob selects the alerts about all nodes of a job.
var forJob = `alertname=~"` + strings.Join(ofTheJob, "|") + `"`

// TestDashboardAlertsOfTheJob checks that the number of alerts includes those without a node.
func TestDashboardAlertsOfTheJob(t *testing.T) {
	i := slices.IndexFunc(readBoard(t).graphs(), func(p panel) bool { return p.Title == "Alerts firing" })
	require.GreaterOrEqual(t, i, 0)
	found := false
	selectors(parseQuery(t, readBoard(t).graphs()[i].Targets[0].Expr), func(s *parser.VectorSelector, _ []parser.Node) {
		found = found || matcher(s, "alertname") == forJob && matcher(s, "instance") == ""
	})
	require.True(t, found)
}

// checkQuery checks that a query selects only the chosen nodes, or alerts of their job, and
// that it uses counters as rates over $__rate_interval.
func checkQuery(t *testing.T, expr string) {
	t.Helper()
	types := metricTypes(t)
	e := parseQuery(t, expr)
	n := 0
	selectors(e, func(s *parser.VectorSelector, in []parser.Node) {
		n++
		require.Equal(t, `job=~"$job"`, matcher(s, "job"), s.Name)
		if matcher(s, "alertname") == forJob {
			require.Empty(t, matcher(s, "instance"), "these alerts name no node")
		} else {
			require.Equal(t, `instance=~"$instance"`, matcher(s, "instance"), s.Name)
		}
		if s.Name != "holdfast_build_info" { // "Version changes" compares with the version before
			require.Zero(t, s.OriginalOffset, "%s has an offset", s.Name)
		}
		_, rises, known := metricOf(types, s.Name)
		require.True(t, known, "%s: no such metric", s.Name)
		require.Equal(t, rises, inRate(in), "%s: only counters have rates, and counters are only used in rates", s.Name)
	})
	require.Positive(t, n, "no selector")
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.MatrixSelector:
			require.Equal(t, rateInterval, n.Range, "a range must be $__rate_interval")
		case *parser.SubqueryExpr:
			require.Fail(t, "subqueries are not allowed")
		}
		return nil
	})
	require.NotContains(t, expr, rateInterval.String())
}

// inRate reports whether the innermost call around a selector is a rate.
func inRate(in []parser.Node) bool {
	for _, n := range slices.Backward(in) {
		if call, ok := n.(*parser.Call); ok {
			return slices.Contains(rateFunctions, call.Func.Name)
		}
	}
	return false
}

// TestDashboardShowsEverything checks that every metric of the node, and every upstream
// metric listed, is in a panel.
func TestDashboardShowsEverything(t *testing.T) {
	shown := map[string]bool{}
	types := metricTypes(t)
	for _, p := range readBoard(t).graphs() {
		for _, q := range p.Targets {
			selectors(parseQuery(t, q.Expr), func(s *parser.VectorSelector, _ []parser.Node) {
				name, _, _ := metricOf(types, s.Name)
				shown[name] = true
			})
		}
	}
	for name := range ownMetrics(t) {
		require.True(t, shown[name], "%s is in no panel", name)
	}
	for name := range upstream {
		require.True(t, shown[name], "%s is in no panel", name)
	}
}
