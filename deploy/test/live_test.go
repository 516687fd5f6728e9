package deploytest

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// emptyFile lists the queries that may return nothing, with reasons.
const emptyFile = "empty.txt"

// TestLive runs Prometheus on a network under traffic. Every panel and every alert must
// have data. Alerts must fire for the nodes with a fault and for no others.
func TestLive(t *testing.T) {
	if os.Getenv(binaryEnv) == "" {
		t.Skip("deploy/test/run builds the daemon and sets " + binaryEnv)
	}
	start := time.Now()
	w := newNetwork(t, 4)
	targets := []string{w.alone.metrics}
	for _, d := range w.nodes {
		targets = append(targets, d.metrics)
	}
	p := startPrometheus(t, targets)

	rounds := 0
	for ; rounds < 3; rounds++ {
		w.round(rounds)
	}
	// Prometheus must know how many unclean starts there were before the crash.
	w.eventually(func() bool {
		scraped, err := p.now("holdfast_unclean_starts_total")
		return err == nil && len(scraped) == len(targets)
	}, "not every node has been scraped")
	w.crash()
	w.refuseReload()
	checks := append(panelChecks(t), alertChecks(t)...)
	missing := func() (names []string) {
		w.round(rounds)
		rounds++
		checks = unanswered(t, p, start, checks)
		for _, c := range checks {
			names = append(names, c.name+": "+c.expr)
		}
		return names
	}
	deadline := time.Now().Add(patience)
	for len(missing()) > 0 && time.Now().Before(deadline) {
	}
	require.Empty(t, missing(), "no data for these, and %s does not list them", emptyFile)
	t.Logf("all panels and alerts have data after %s and %d rounds of traffic", time.Since(start).Round(time.Second), rounds)

	t.Run("types", func(t *testing.T) { checkTypes(t, p) })
	t.Run("lint", func(t *testing.T) { lint(t, w.nodes[0].metrics) })
	t.Run("annotations", func(t *testing.T) { checkAnnotations(t, p, start) })
	t.Run("rules", func(t *testing.T) { checkRules(t, p) })
	t.Run("alerts", func(t *testing.T) { checkAlarms(t, p, w) })
}

// query is an expression that must have data.
type query struct{ name, expr string }

func panelChecks(t *testing.T) (all []query) {
	for _, panel := range readBoard(t).graphs() {
		for _, q := range panel.Targets {
			all = append(all, query{panel.Title + " " + q.RefID, substitute(q.Expr, ".+", ".+", 10*scrapeInterval)})
		}
	}
	return exceptEmpty(t, all)
}

// alertChecks returns the alerts without their comparisons: the values that they compare
// must exist, and their labels must match.
func alertChecks(t *testing.T) (all []query) {
	for _, a := range readAlerts(t) {
		var bounds []parser.Expr
		e := uncompared(parse(t, a.Expr), &bounds)
		for _, e := range append(bounds, e) {
			hasten(e)
			all = append(all, query{a.Alert, e.String()})
		}
	}
	return exceptEmpty(t, all)
}

// hasten makes subqueries evaluate at each scrape, because their own steps are longer
// than the test.
func hasten(e parser.Expr) {
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.SubqueryExpr); ok {
			s.Step = scrapeInterval
		}
		return nil
	})
}

// uncompared replaces each comparison within e by its left side, and appends right sides
// that are not constants to bounds. It does the same with "unless", whose right side is a
// fault that a healthy network does not have.
func uncompared(e parser.Expr, bounds *[]parser.Expr) parser.Expr {
	switch n := e.(type) {
	case *parser.ParenExpr:
		n.Expr = uncompared(n.Expr, bounds)
	case *parser.AggregateExpr:
		n.Expr = uncompared(n.Expr, bounds)
	case *parser.Call:
		for i := range n.Args {
			n.Args[i] = uncompared(n.Args[i], bounds)
		}
	case *parser.BinaryExpr:
		if n.Op == parser.LUNLESS {
			*bounds = append(*bounds, uncompared(n.RHS, bounds))
			return uncompared(n.LHS, bounds)
		}
		n.LHS, n.RHS = uncompared(n.LHS, bounds), uncompared(n.RHS, bounds)
		if n.Op.IsComparisonOperator() {
			selects := false
			selectors(n.RHS, func(*parser.VectorSelector, []parser.Node) { selects = true })
			if selects {
				*bounds = append(*bounds, n.RHS)
			}
			return n.LHS
		}
	}
	return e
}

// unanswered returns the queries that have no data yet. A query that Prometheus rejects
// fails the test.
func unanswered(t *testing.T, p *prometheus, start time.Time, all []query) (left []query) {
	for _, q := range all {
		n, err := p.over(start, q.expr)
		require.NoError(t, err, "%s: %s", q.name, q.expr)
		if n == 0 {
			left = append(left, q)
		}
	}
	return left
}

var emptyLine = regexp.MustCompile(`^(.+?): (.{20,})$`)

// exceptEmpty returns the queries that emptyFile does not list. TestEmptyNames checks the
// names in that file.
func exceptEmpty(t *testing.T, all []query) (kept []query) {
	file, err := os.Open(emptyFile)
	require.NoError(t, err)
	defer file.Close()
	excused := map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if line := lines.Text(); line != "" && !strings.HasPrefix(line, "#") {
			m := emptyLine.FindStringSubmatch(line)
			require.NotNil(t, m, "%s: %q is not \"name: reason\"", emptyFile, line)
			excused[m[1]] = true
		}
	}
	for _, q := range all {
		if !excused[q.name] {
			kept = append(kept, q)
		}
	}
	return kept
}

// TestEmptyNames checks that every query that emptyFile lists exists.
func TestEmptyNames(t *testing.T) {
	var names []string
	for _, p := range readBoard(t).graphs() {
		for _, q := range p.Targets {
			names = append(names, p.Title+" "+q.RefID)
		}
	}
	for _, a := range readAlerts(t) {
		names = append(names, a.Alert)
	}
	data, err := os.ReadFile(emptyFile)
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		if m := emptyLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil && line[0] != '#' {
			require.Contains(t, names, m[1])
		}
	}
}

// checkTypes compares the metric types that the file tests assume with those exported.
func checkTypes(t *testing.T, p *prometheus) {
	var said map[string][]struct {
		Type string `json:"type"`
	}
	require.NoError(t, p.ask("metadata", nil, &said))
	for name, kind := range exportedTypes(t) {
		if name == "up" || name == "ALERTS" || name == "libp2p_rcmgr_blocked_resources" {
			continue // made by Prometheus; appears with the first block
		}
		require.NotEmpty(t, said[name], "%s is not exported", name)
		require.Equal(t, kind, said[name][0].Type, name)
	}
}

// lint runs promtool on the node's own metrics.
func lint(t *testing.T, addr string) {
	resp, err := http.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	own := regexp.MustCompile(`(?m)^(# (HELP|TYPE) )?holdfast_.*\n`).FindAllString(string(page), -1)
	require.Greater(t, len(own), 300)
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(strings.Join(own, ""))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out))
}

// checkAnnotations checks that Prometheus answers the queries of the annotations. The network
// has new nodes and restarts, but no reload that succeeds and no isolated node.
func checkAnnotations(t *testing.T, p *prometheus, start time.Time) {
	for _, a := range readBoard(t).Annotations.List {
		if a.BuiltIn == 1 {
			continue
		}
		n, err := p.over(start, substitute(a.Expr, ".+", ".+", 10*scrapeInterval))
		require.NoError(t, err, a.Expr)
		require.Equal(t, a.Name == "Restarts" || a.Name == "Version changes", n > 0, a.Name)
	}
}

// checkRules checks that Prometheus evaluates every rule without an error.
func checkRules(t *testing.T, p *prometheus) {
	var r struct {
		Groups []struct {
			Rules []struct {
				Name, Health, LastError string
			}
		}
	}
	require.NoError(t, p.ask("rules", url.Values{}, &r))
	n := 0
	for _, g := range r.Groups {
		for _, rule := range g.Rules {
			require.Equal(t, "ok", rule.Health, "%s: %s", rule.Name, rule.LastError)
			n++
		}
	}
	alerts, recorded := readRules(t)
	require.Len(t, append(alerts, recorded...), n)
}

// checkAlarms checks that the conditions of the alerts hold for the nodes with a fault
// and for no others. (The unit tests check how long they must hold.)
func checkAlarms(t *testing.T, p *prometheus, w *network) {
	down := w.nodes[1]
	down.kill()
	wanted := map[string][]string{
		"HoldfastTargetDown":         {down.metrics},
		"HoldfastRoutingTableLow":    {w.alone.metrics},
		"HoldfastConfigReloadFailed": {w.alone.metrics},
		"HoldfastUncleanStarts":      {w.nodes[len(w.nodes)-1].metrics}, // w.crash
	}
	for _, a := range readAlerts(t) {
		want := append([]string{}, wanted[a.Alert]...)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			got, err := p.now(a.Expr)
			require.NoError(c, err)
			require.Equal(c, strings.Join(want, " "), strings.Join(got, " "))
		}, patience/4, scrapeInterval, a.Alert)
	}
}
