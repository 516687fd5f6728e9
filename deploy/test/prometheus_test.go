package deploytest

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// scrapeInterval is how often the nodes are scraped.
const scrapeInterval = time.Second

// prometheus is a running Prometheus.
type prometheus struct {
	*process
	t   testing.TB
	url string
}

// startPrometheus starts a Prometheus that scrapes the targets and evaluates the rules.
func startPrometheus(t testing.TB, targets []string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	rules, err := filepath.Abs(rulesFile)
	require.NoError(t, err)
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: %s, scrape_timeout: %s, evaluation_interval: %s}
rule_files: [%q]
scrape_configs:
  - job_name: holdfast
    static_configs: [{targets: ["%s"]}]
`, scrapeInterval, scrapeInterval, scrapeInterval, rules, strings.Join(targets, `", "`)), 0o644))
	for range 3 { // another program may take the port first, so retry
		addr := freeAddr(t)
		p := &prometheus{t: t, url: "http://" + addr, process: spawn(t, "prometheus", exec.Command("prometheus",
			"--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr))}
		require.Eventually(t, func() bool { return p.ended() || p.ready() }, patience, 50*time.Millisecond)
		if !p.ended() {
			return p
		}
	}
	require.Fail(t, "prometheus does not start")
	return nil
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (p *prometheus) ready() bool {
	resp, err := http.Get(p.url + "/-/ready")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// ask calls the HTTP API. It returns errors of Prometheus; other errors fail the test.
func (p *prometheus) ask(path string, args url.Values, data any) error {
	p.t.Helper()
	resp, err := http.Get(p.url + "/api/v1/" + path + "?" + args.Encode())
	require.NoError(p.t, err)
	defer resp.Body.Close()
	var answer struct {
		Error string          `json:"error"`
		Data  json.RawMessage `json:"data"`
	}
	require.NoError(p.t, json.NewDecoder(resp.Body).Decode(&answer))
	if answer.Error != "" {
		return fmt.Errorf("%s", answer.Error)
	}
	require.NoError(p.t, json.Unmarshal(answer.Data, data))
	return nil
}

// series is one series of a result: its labels and values.
type series struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
	Values [][2]any          `json:"values"`
}

// over evaluates an expression over the time since start, as a panel does, and
// returns how many series have a finite value.
func (p *prometheus) over(start time.Time, expr string) (int, error) {
	p.t.Helper()
	var r struct {
		Result []series `json:"result"`
	}
	seconds := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	err := p.ask("query_range", url.Values{
		"query": {expr}, "start": {seconds(start)}, "end": {seconds(time.Now())}, "step": {scrapeInterval.String()},
	}, &r)
	n := 0
	for _, s := range r.Result {
		if s.finite() {
			n++
		}
	}
	return n, err
}

// finite reports whether any value is a number.
func (s series) finite() bool {
	for _, v := range s.Values {
		f, err := strconv.ParseFloat(fmt.Sprint(v[1]), 64)
		if err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return true
		}
	}
	return false
}

// now evaluates an expression and returns the instances in its result.
func (p *prometheus) now(expr string) ([]string, error) {
	p.t.Helper()
	var r struct {
		Result []series `json:"result"`
	}
	err := p.ask("query", url.Values{"query": {expr}}, &r)
	instances := []string{}
	for _, s := range r.Result {
		instances = append(instances, s.Metric["instance"])
	}
	return instances, err
}
