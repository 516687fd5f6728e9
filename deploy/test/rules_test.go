package deploytest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

const (
	runbookURL   = "https://github.com/holdfast-dht/holdfast/blob/main/docs/runbooks.md#"
	dashboardURL = "http://127.0.0.1:3000/d/" + dashboardUID + "?var-job={{ $labels.job }}"
)

// promised are the alerts that operators rely on. Whoever adds, removes or renames an
// alert changes this list and CHANGELOG.md.
var promised = strings.Fields(`
	Absent TargetDown RestartLoop UncleanStarts LoopHung FDsHigh MemoryHigh ResourceManagerBlocking
	ConfigReloadFailed VersionSkew
	Isolated RoutingTableLow RoutingTableCollapse NoInboundRPC ReachabilityLost LookupFailureRatio
	RepublishFallingBehind PublishRefused ExpiryStalled SnapshotStale
	DiskFull DiskFilling DBErrors DBFailed DBDamaged DBCommitSlow DBWritesRefused DBGrowing DBFreeHigh`)

// ofTheJob are the alerts about all nodes of a job. The others name a node.
var ofTheJob = []string{"HoldfastAbsent", "HoldfastVersionSkew"}

func TestAlerts(t *testing.T) {
	var names []string
	for _, a := range readAlerts(t) {
		names = append(names, a.Alert)
		t.Run(a.Alert, func(t *testing.T) { checkAlert(t, a) })
	}
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], "Holdfast")
	}
	require.ElementsMatch(t, promised, names)
}

func checkAlert(t *testing.T, a rule) {
	require.Regexp(t, `^Holdfast[A-Z]`, a.Alert, "alerts of all programs share one namespace")
	require.Contains(t, []string{"critical", "warning"}, a.Labels["severity"])
	require.NotEmpty(t, a.Annotations["description"])
	require.Equal(t, runbookURL+strings.ToLower(a.Alert), a.Annotations["runbook_url"])

	e := parse(t, a.Expr)
	if slices.Contains(ofTheJob, a.Alert) {
		require.Contains(t, a.Annotations["summary"], "$labels.job", "which job?")
		require.Equal(t, dashboardURL, a.Annotations["dashboard_url"])
	} else {
		require.Contains(t, a.Annotations["summary"], "$labels.instance", "which node?")
		require.Equal(t, dashboardURL+"&var-instance={{ $labels.instance }}", a.Annotations["dashboard_url"])
		require.True(t, keeps(e, "job", "instance"), "the alert must name the node")
	}
	checkSelectors(t, e, `job="holdfast"`)
	for _, m := range predicted.FindAllStringSubmatch(a.Expr, -1) {
		require.Contains(t, a.Expr, "present_over_time("+m[1]+"[1h] offset 5h)", "a new target has no rate of six hours")
	}
}

// predicted matches what an alert extrapolates.
var predicted = regexp.MustCompile(`predict_linear\((.*?)\[`)

// checkSelectors checks that an expression of a rule selects all nodes of a job, and that it
// uses counters as rates.
func checkSelectors(t *testing.T, e parser.Expr, job string) {
	t.Helper()
	types := metricTypes(t)
	selectors(e, func(s *parser.VectorSelector, in []parser.Node) {
		require.Equal(t, job, matcher(s, "job"), s.Name)
		require.Empty(t, matcher(s, "instance"), s.Name)
		_, rises, known := metricOf(types, s.Name)
		require.True(t, known, "%s: no such metric", s.Name)
		require.Equal(t, rises, inRate(in), "%s: only counters have rates, and counters are only used in rates", s.Name)
	})
}

// TestRecorded checks the recording rules. They record for every job, because the dashboard
// lets its user choose one.
func TestRecorded(t *testing.T) {
	var tested []string
	for _, u := range readUnitTests(t) {
		for _, e := range u.Exprs {
			tested = append(tested, e.Expr)
		}
	}
	_, recorded := readRules(t)
	for _, r := range recorded {
		require.Regexp(t, `^instance:[a-z_]+:[a-z0-9_]+$`, r.Record, "level:metric:operations")
		e := parse(t, r.Expr)
		require.True(t, keeps(e, "job", "instance"), "%s: the level is the instance", r.Record)
		checkSelectors(t, e, "")
		hasTest := slices.ContainsFunc(tested, func(e string) bool { return strings.Contains(e, r.Record) })
		require.True(t, hasTest, "%s has no test", r.Record)
	}
}

// unitTest is one test of the rules, which promtool runs.
type unitTest struct {
	Alerts []struct {
		Alertname string `yaml:"alertname"`
		ExpAlerts []any  `yaml:"exp_alerts"`
	} `yaml:"alert_rule_test"`
	Exprs []struct {
		Expr string `yaml:"expr"`
	} `yaml:"promql_expr_test"`
}

func readUnitTests(t *testing.T) (all []unitTest) {
	t.Helper()
	names, err := filepath.Glob(unitTests)
	require.NoError(t, err)
	for _, name := range names {
		var file struct {
			Tests []unitTest `yaml:"tests"`
		}
		readYAML(t, name, &file)
		all = append(all, file.Tests...)
	}
	return all
}

// keeps reports whether no aggregation drops one of the labels.
func keeps(e parser.Expr, labels ...string) bool {
	kept := true
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			for _, l := range labels {
				kept = kept && !a.Without && slices.Contains(a.Grouping, l)
			}
		}
		return nil
	})
	return kept
}

// TestAlertsAreTested checks that the unit tests have a firing and a silent case for
// each alert. promtool runs them.
func TestAlertsAreTested(t *testing.T) {
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, u := range readUnitTests(t) {
		for _, c := range u.Alerts {
			if len(c.ExpAlerts) > 0 {
				fires[c.Alertname] = true
			} else {
				quiet[c.Alertname] = true
			}
		}
	}
	for _, a := range readAlerts(t) {
		require.True(t, fires[a.Alert], "no test in which %s fires", a.Alert)
		require.True(t, quiet[a.Alert], "no test in which %s stays silent", a.Alert)
	}
}

var alertNames = regexp.MustCompile(`Holdfast\w+`)

// TestAlertmanager checks that the example for Alertmanager names alerts that exist, and
// that only critical ones silence others. amtool checks the rest.
func TestAlertmanager(t *testing.T) {
	var file struct {
		InhibitRules []struct {
			Sources []string `yaml:"source_matchers"`
			Targets []string `yaml:"target_matchers"`
			Equal   []string `yaml:"equal"`
		} `yaml:"inhibit_rules"`
	}
	readYAML(t, alertmanagerFile, &file)
	severity := map[string]string{}
	for _, a := range readAlerts(t) {
		severity[a.Alert] = a.Labels["severity"]
	}
	require.NotEmpty(t, file.InhibitRules)
	for _, r := range file.InhibitRules {
		require.Equal(t, []string{"job", "instance"}, r.Equal, "a cause silences its own node only")
		for _, cause := range alertNames.FindAllString(strings.Join(r.Sources, " "), -1) {
			require.Equal(t, "critical", severity[cause], "%s silences others, so it must page", cause)
		}
		for _, name := range alertNames.FindAllString(strings.Join(r.Targets, " "), -1) {
			require.Contains(t, severity, name)
			require.NotContains(t, strings.Join(r.Sources, " "), name)
		}
	}
}

var entry = regexp.MustCompile(`(?m)^## (Holdfast\w+)$`)

// runbookParts are the parts of each entry.
var runbookParts = []string{"**Means:** ", "**Look at:** ", "**Do:** "}

// TestRunbook checks that the page has exactly one entry for each alert, in the order of
// the rules.
func TestRunbook(t *testing.T) {
	data, err := os.ReadFile(runbookFile)
	require.NoError(t, err)
	page := string(data)

	var names, wanted []string
	at := entry.FindAllStringSubmatchIndex(page, -1)
	for i, m := range at {
		name, end := page[m[2]:m[3]], len(page)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		names = append(names, name)
		for _, part := range runbookParts {
			require.Contains(t, page[m[1]:end], "\n"+part, name)
		}
	}
	for _, a := range readAlerts(t) {
		wanted = append(wanted, a.Alert)
	}
	require.Equal(t, wanted, names)
}

var (
	quotedTitle = regexp.MustCompile(`"([A-Z][^"\n]*)"`)
	// statusLines are the lines of `holdfast status` that the runbook quotes.
	statusLines = []string{"Disk", "Starts"}
)

// TestRunbookPanels checks that the panels quoted in the chapter Alerts exist.
func TestRunbookPanels(t *testing.T) {
	data, err := os.ReadFile(runbookFile)
	require.NoError(t, err)
	titles := statusLines
	for _, p := range readBoard(t).graphs() {
		titles = append(titles, p.Title)
	}
	quoted := quotedTitle.FindAllStringSubmatch(string(data), -1)
	require.Greater(t, len(quoted), 30)
	for _, m := range quoted {
		require.Contains(t, titles, m[1])
	}
}

var quotedLog = regexp.MustCompile("(?:log for|before each|fails with) `([^`]+)`")

// TestQuotedLogs checks that the log and error texts that the runbooks and guides tell
// operators to search for are those of a log call or an error in the source.
func TestQuotedLogs(t *testing.T) {
	guides, err := filepath.Glob("../../docs/guides/*.md")
	require.NoError(t, err)
	var text, source strings.Builder
	for _, name := range append(guides, runbookFile) {
		page, err := os.ReadFile(name)
		require.NoError(t, err)
		text.Write(page)
	}
	for _, dir := range []string{"../../cmd", "../../internal", "../../pkg", "../../republish", "../../storage"} {
		require.NoError(t, filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := os.ReadFile(name)
			source.Write(file)
			return err
		}))
	}
	quoted := quotedLog.FindAllStringSubmatch(text.String(), -1)
	require.GreaterOrEqual(t, len(quoted), 5)
	for _, m := range quoted {
		call := regexp.MustCompile(`\.(?:Debug|Info|Warn|Error|Log|New|Errorf)\([^"\n]*"[^"\n]*` + regexp.QuoteMeta(m[1]) + `[^"\n]*"`)
		require.True(t, call.MatchString(source.String()), "no source file has the text %q", m[1])
	}
}

// TestDashboardIsDescribed checks that the guide names every row.
func TestDashboardIsDescribed(t *testing.T) {
	data, err := os.ReadFile(monitoringFile)
	require.NoError(t, err)
	_, chapter, ok := strings.Cut(string(data), "\n## Dashboard\n")
	require.True(t, ok, "%s has no chapter Dashboard", monitoringFile)
	for _, p := range readBoard(t).Panels {
		if p.Type == "row" {
			name, _, _ := strings.Cut(p.Title, ":")
			require.Contains(t, chapter, "**"+name+"**")
		}
	}
}
