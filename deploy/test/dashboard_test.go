package deploytest

import (
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

// graphs returns the panels that are not rows.
func (b board) graphs() []panel {
	return slices.DeleteFunc(slices.Clone(b.Panels), func(p panel) bool { return p.Type == "row" })
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

func TestDashboardRestarts(t *testing.T) {
	for _, a := range readBoard(t).Annotations.List {
		if a.BuiltIn == 0 {
			require.Equal(t, "Restarts", a.Name)
			require.Equal(t, datasource{"prometheus", "${datasource}"}, a.Datasource)
			checkQuery(t, a.Expr)
			require.Contains(t, a.Expr, "process_start_time_seconds")
			return
		}
	}
	t.Fatal("no annotation for restarts")
}

// units are the Grafana units in use. Grafana shows a misspelt one as text.
var units = strings.Fields("none short s bytes Bps percentunit reqps ops cps wps")

func TestDashboardPanels(t *testing.T) {
	b := readBoard(t)
	ids, titles := map[int]bool{}, map[string]bool{}
	for _, p := range b.Panels {
		require.NotEmpty(t, p.Title)
		require.False(t, ids[p.ID], "%s: two panels have the ID %d", p.Title, p.ID)
		require.False(t, titles[p.Title], "two panels have the title %q", p.Title)
		ids[p.ID], titles[p.Title] = true, true
		require.Empty(t, p.Panels, "%s: these tests do not see panels in a collapsed row", p.Title)
	}
	for _, p := range b.graphs() {
		require.GreaterOrEqual(t, len(p.Description), 20, "%s: describe what it shows, and which values are good or bad", p.Title)
		require.Contains(t, units, p.FieldConfig.Defaults.Unit, p.Title)
		require.Equal(t, datasource{"prometheus", "${datasource}"}, p.Datasource, p.Title)
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

// TestDashboardLayout checks that the first row has numbers and the others have graphs
// over time, and that no panel overlaps another or leaves the grid.
func TestDashboardLayout(t *testing.T) {
	b := readBoard(t)
	rows := 0
	var taken [24][1000]string
	for _, p := range b.Panels {
		if p.Type == "row" {
			rows++
		} else {
			allowed := []string{"timeseries", "heatmap"}
			if rows == 1 {
				allowed = []string{"stat"}
			}
			require.Contains(t, allowed, p.Type, p.Title)
		}
		g := p.GridPos
		require.True(t, g.X >= 0 && g.W > 0 && g.X+g.W <= 24 && g.H > 0, "%s leaves the grid", p.Title)
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				require.Empty(t, taken[x][y], "%s overlaps it", p.Title)
				taken[x][y] = p.Title
			}
		}
	}
	require.Equal(t, "row", b.Panels[0].Type)
	require.Equal(t, 10, rows)
}

// rateFunctions are the functions that take a range of a counter.
var rateFunctions = []string{"rate", "increase", "irate"}

// checkQuery checks that a query selects only the chosen nodes, and that it uses
// counters as rates over $__rate_interval.
func checkQuery(t *testing.T, expr string) {
	t.Helper()
	types := metricTypes(t)
	e := parseQuery(t, expr)
	n := 0
	selectors(e, func(s *parser.VectorSelector, in []parser.Node) {
		n++
		require.Equal(t, `job=~"$job"`, matcher(s, "job"), s.Name)
		require.Equal(t, `instance=~"$instance"`, matcher(s, "instance"), s.Name)
		require.Zero(t, s.OriginalOffset, "%s has an offset", s.Name)
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
