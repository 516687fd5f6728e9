package deploytest

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The files under test.
const (
	dashboardFile    = "../grafana/holdfast.json"
	rulesFile        = "../prometheus/holdfast.rules.yml"
	alertmanagerFile = "../prometheus/alertmanager.yml"
	unitTests        = "../prometheus/tests/*.yml"
	metricsFile      = "../../docs/reference/metrics.md"
	runbookFile      = "../../docs/runbooks.md"
	monitoringFile   = "../../docs/guides/monitoring.md"
)

// board is the part of a Grafana dashboard that the tests read.
type board struct {
	UID           string           `json:"uid"`
	Title         string           `json:"title"`
	SchemaVersion int              `json:"schemaVersion"`
	Inputs        *json.RawMessage `json:"__inputs"`
	ID            *int             `json:"id"`
	Annotations   struct {
		List []struct {
			Name       string     `json:"name"`
			BuiltIn    int        `json:"builtIn"`
			Datasource datasource `json:"datasource"`
			Expr       string     `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
	Links      []link `json:"links"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Panels []panel `json:"panels"`
}

type link struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type variable struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Datasource datasource `json:"datasource"`
	Definition string     `json:"definition"`
	Multi      bool       `json:"multi"`
	IncludeAll bool       `json:"includeAll"`
	AllValue   string     `json:"allValue"`
}

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Datasource  datasource `json:"datasource"`
	FieldConfig struct {
		Defaults struct {
			Unit       string     `json:"unit"`
			Links      []link     `json:"links"`
			Thresholds thresholds `json:"thresholds"`
			Custom     struct {
				ThresholdsStyle struct {
					Mode string `json:"mode"`
				} `json:"thresholdsStyle"`
			} `json:"custom"`
		} `json:"defaults"`
		Overrides []struct {
			Matcher struct {
				Options string `json:"options"`
			} `json:"matcher"`
			Properties []struct {
				ID    string          `json:"id"`
				Value json.RawMessage `json:"value"`
			} `json:"properties"`
		} `json:"overrides"`
	} `json:"fieldConfig"`
	Targets []struct {
		RefID        string     `json:"refId"`
		Datasource   datasource `json:"datasource"`
		Expr         string     `json:"expr"`
		LegendFormat string     `json:"legendFormat"`
		Format       string     `json:"format"`
		Instant      bool       `json:"instant"`
	} `json:"targets"`
	Transformations []struct {
		ID      string `json:"id"`
		Options struct {
			ExcludeByName map[string]bool   `json:"excludeByName"`
			RenameByName  map[string]string `json:"renameByName"`
		} `json:"options"`
	} `json:"transformations"`
	Links     []link  `json:"links"`
	Collapsed bool    `json:"collapsed"` // a row
	Panels    []panel `json:"panels"`    // of a collapsed row
}

type thresholds struct {
	Steps []struct {
		Value *float64 `json:"value"`
	} `json:"steps"`
}

func readBoard(t testing.TB) (b board) {
	t.Helper()
	data, err := os.ReadFile(dashboardFile)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &b))
	return b
}

// rule is an alerting rule or a recording rule.
type rule struct {
	Alert       string            `yaml:"alert"`  // or:
	Record      string            `yaml:"record"` // the series that it writes
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readRules(t testing.TB) (alerts, recorded []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	readYAML(t, rulesFile, &file)
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				recorded = append(recorded, r)
			} else {
				alerts = append(alerts, r)
			}
		}
	}
	require.NotEmpty(t, alerts)
	require.NotEmpty(t, recorded)
	return alerts, recorded
}

func readAlerts(t testing.TB) []rule {
	t.Helper()
	alerts, _ := readRules(t)
	return alerts
}

func readYAML(t testing.TB, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, v), path)
}

var metricsRow = regexp.MustCompile("(?m)^\\| `(holdfast_\\w+)` \\| (\\w+) \\|")

// upstream are the metrics of Go, the process, libp2p and Prometheus that the dashboard and
// the alerts use. The live test compares their types with those that the node exports.
var upstream = map[string]string{
	"go_gc_duration_seconds":                "summary",
	"go_goroutines":                         "gauge",
	"go_memstats_heap_released_bytes":       "gauge",
	"go_memstats_sys_bytes":                 "gauge",
	"libp2p_rcmgr_blocked_resources":        "counter", // a gauge by type, but it only rises
	"libp2p_rcmgr_connections":              "gauge",
	"libp2p_rcmgr_limit":                    "gauge",
	"libp2p_rcmgr_memory":                   "gauge",
	"libp2p_rcmgr_streams":                  "gauge",
	"libp2p_swarm_connections_opened_total": "counter",
	"libp2p_swarm_dial_errors_total":        "counter",
	"process_cpu_seconds_total":             "counter",
	"process_max_fds":                       "gauge",
	"process_network_receive_bytes_total":   "counter",
	"process_network_transmit_bytes_total":  "counter",
	"process_open_fds":                      "gauge",
	"process_resident_memory_bytes":         "gauge",
	"process_start_time_seconds":            "gauge",
	"up":                                    "gauge",
	"ALERTS":                                "gauge",
}

// ownMetrics are the node's own metrics and their types.
func ownMetrics(t testing.TB) map[string]string {
	t.Helper()
	data, err := os.ReadFile(metricsFile)
	require.NoError(t, err)
	types := make(map[string]string)
	for _, m := range metricsRow.FindAllStringSubmatch(string(data), -1) {
		types[m[1]] = m[2]
	}
	require.Greater(t, len(types), 60, metricsFile)
	return types
}

// exportedTypes are the metrics that a node exports and queries may use, and their types.
func exportedTypes(t testing.TB) map[string]string {
	types := ownMetrics(t)
	for name, kind := range upstream {
		types[name] = kind
	}
	return types
}

// metricTypes are the metrics that queries may use, those of the recording rules included.
func metricTypes(t testing.TB) map[string]string {
	types := exportedTypes(t)
	_, recorded := readRules(t)
	for _, r := range recorded {
		types[r.Record] = "gauge"
	}
	return types
}

// metricOf returns the metric that a series belongs to and whether the series
// only ever rises: a counter, or a part of a histogram or summary.
func metricOf(types map[string]string, series string) (name string, rises, known bool) {
	if kind, ok := types[series]; ok {
		return series, kind == "counter", true
	}
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		name, ok := strings.CutSuffix(series, part)
		if kind := types[name]; ok && (kind == "histogram" || kind == "summary") {
			return name, true, true
		}
	}
	return series, false, false
}

// parse parses an expression.
func parse(t testing.TB, expr string) parser.Expr {
	t.Helper()
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	require.NoError(t, err, expr)
	return e
}

// selectors calls f for each selector of an expression with the nodes around it,
// outermost first.
func selectors(e parser.Expr, f func(s *parser.VectorSelector, in []parser.Node)) {
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			f(s, path)
		}
		return nil
	})
}

// matcher returns the condition of a selector on a label, as it is written.
func matcher(s *parser.VectorSelector, label string) string {
	for _, m := range s.LabelMatchers {
		if m.Name == label {
			return m.String()
		}
	}
	return ""
}
