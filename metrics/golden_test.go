package metrics_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/promisetest"
	"github.com/holdfast-dht/holdfast/metrics"
)

// ours gathers the families in our namespace.
func ours(t testing.TB, m *metrics.Metrics) []*dto.MetricFamily {
	t.Helper()
	all, err := m.Gatherer().Gather()
	require.NoError(t, err)
	return slices.DeleteFunc(all, func(f *dto.MetricFamily) bool {
		return !strings.HasPrefix(f.GetName(), metrics.Namespace+"_")
	})
}

// describe returns the row of a family in the table of all metrics.
func describe(f *dto.MetricFamily) string {
	var labels []string
	for _, l := range f.GetMetric()[0].GetLabel() {
		labels = append(labels, "`"+l.GetName()+"`")
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
}

// referencePage is the page with the table of all metrics.
const referencePage = "../docs/reference/metrics.md"

// referenceHead is the page up to the table.
const referenceHead = `# Metrics

Every metric of the node. Units are seconds and bytes, counters end in ` + "`_total`" + `, and a time of 0 means never. [The guide to monitoring](../guides/monitoring.md) says how to scrape them, which ones to watch, and which other metrics the same endpoint exports.

<!-- UPDATE=1 go test ./metrics -run TestReference writes this page from the code. -->

`

// TestReference compares every metric of a node without any events with the page. A changed
// line there breaks an operator's dashboard.
func TestReference(t *testing.T) {
	rows := []string{"| metric | type | labels | meaning |", "|---|---|---|---|"}
	for _, f := range ours(t, metrics.New("v1.2.3", "abc")) {
		rows = append(rows, describe(f))
	}
	got := referenceHead + strings.Join(rows, "\n") + "\n"
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(referencePage, []byte(got), 0o644))
	}
	promisetest.Page(t, referencePage, got)
}

// wanted are the metrics that operators rely on.
var wanted = strings.Fields(`
	build_info state
	routing_table_peers routing_table_bucket_peers routing_table_changes_total routing_table_restored_peers
	snapshot_last_success_timestamp_seconds snapshot_duration_seconds snapshot_peers snapshot_failures_total
	lookups_total lookup_duration_seconds lookup_hops lookup_peers_queried lookups_in_flight lookups_rejected_total
	rpc_inbound_requests_total rpc_inbound_duration_seconds rpc_inbound_rejected_total rpc_inbound_bytes_total
	rpc_outbound_requests_total rpc_outbound_duration_seconds rpc_outbound_rejected_total rpc_outbound_bytes_total
	rpc_inbound_streams_in_flight rpc_outbound_streams_in_flight
	requests_in_flight request_duration_seconds
	probes_in_flight probes_total probe_candidates probe_candidates_rejected_total
	loop_waiting_calls loop_rejected_calls_total
	records record_bytes record_puts_total records_expired_total record_validation_failures_total
	expiry_last_success_timestamp_seconds expiry_duration_seconds expiry_failures_total
	republish_keys republish_total republish_replicas republish_lag_seconds republish_last_cycle_timestamp_seconds
	republish_find_node_total republish_in_flight republish_overdue_keys
	bucket_refreshes_total bucket_refresh_oldest_timestamp_seconds
	db_size_bytes db_max_bytes db_fill_ratio db_free_bytes db_commit_duration_seconds db_batch_records db_pending_writes db_writes_rejected_total
	db_errors_total db_corrupt_files db_failed db_copies_bytes disk_size_bytes disk_free_bytes disk_full quota_limit quota_refusals_total
	network_size_estimate connected_peers connections_refused_total bootstrap_first bootstrap_attempts_total reachability
	config_last_reload_successful config_last_reload_success_timestamp_seconds
	unclean_starts_total memory_limit_bytes`)

// TestWanted checks that each of them exists before any event, so that alerts on it do not
// have to wait for the first one.
func TestWanted(t *testing.T) {
	var names []string
	for _, f := range ours(t, metrics.New("v1.2.3", "abc")) {
		require.NotEmpty(t, f.GetMetric(), f.GetName())
		names = append(names, strings.TrimPrefix(f.GetName(), metrics.Namespace+"_"))
	}
	for _, w := range wanted {
		require.Contains(t, names, w)
	}
}

func TestLint(t *testing.T) {
	m := metrics.New("v1.2.3", "abc")
	observe(m, 50)
	m.Watch(busy())
	problems, err := promlint.NewWithMetricFamilies(ours(t, m)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

// TestLabels restricts the labels to those that are known to be bounded.
func TestLabels(t *testing.T) {
	allowed := strings.Fields("version revision goversion state status cpl action result op outcome type reason part kind role dir quota")
	m := metrics.New("v1.2.3", "abc")
	observe(m, 50)
	for _, f := range ours(t, m) {
		for _, l := range f.GetMetric()[0].GetLabel() {
			require.Contains(t, allowed, l.GetName(), f.GetName())
		}
	}
}
