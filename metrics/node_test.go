package metrics_test

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/metrics"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// patience bounds the wait for events that should be quick. No test waits for it to pass.
const patience = 60 * time.Second

// aside is the content of a file that a restore moved aside.
const aside = "an old database"

// start runs a node with metrics and a database, like the daemon.
func start(t *testing.T, bootstrap ...peer.AddrInfo) (*node.Node, *metrics.Metrics) {
	t.Helper()
	m := metrics.New("v1.2.3", "abc")
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(),
		libp2p.ForceReachabilityPrivate(), libp2p.PrometheusRegisterer(m.Registerer()),
	)
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, storage.FileName+".replaced"), []byte(aside), 0o600))
	db, err := storage.Open(dir, storage.Options{Options: runs.Options{NoSync: true, Observer: m.Storage()}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	n, err := node.New(h, node.Config{
		Bootstrap: bootstrap, UnvalidatedNamespaces: []string{"example"},
		Store: db, Keystore: db, Snapshots: db,
		Observer: m.DHT(), RPCObserver: m.RPC(), Housekeeping: m.Housekeeping(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	m.Watch(metrics.Source{
		Node: n, Database: db, DiskFull: func() bool { return true },
		Quotas: [records.NumQuotas]int64{records.QuotaBytes: storage.DefaultMaxBytes},
	})
	return n, m
}

// page returns what Prometheus receives: name{labels} -> value.
func page(t *testing.T, m *metrics.Metrics) map[string]float64 {
	t.Helper()
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	resp, err := http.Get(server.URL)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	parsed, err := parser.TextToMetricFamilies(resp.Body)
	require.NoError(t, err)
	out := make(map[string]float64)
	for _, family := range parsed {
		samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: model.Now()}, family)
		require.NoError(t, err)
		for _, s := range samples {
			out[strings.ReplaceAll(s.Metric.String(), ", ", ",")] = float64(s.Value)
		}
	}
	return out
}

// TestRealNodes compares the metrics of two nodes under traffic with what happened.
func TestRealNodes(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a, ma := start(t)
	b, mb := start(t, peer.AddrInfo{ID: a.Host().ID(), Addrs: a.Host().Addrs()})
	require.Eventually(t, func() bool {
		return a.Status().VerifiedPeers == 1 && b.Status().VerifiedPeers == 1
	}, patience, 20*time.Millisecond)

	content := sha256.Sum256([]byte("content"))
	_, err := b.ProvideKey(ctx, content[:])
	require.NoError(t, err)
	_, err = b.Publish(ctx, []byte("/example/greeting"), []byte("hello"))
	require.NoError(t, err)
	_, err = b.Get(ctx, []byte("/example/nothing"), 0)
	require.ErrorIs(t, err, node.ErrNotFound)
	require.Eventually(t, func() bool { return a.Status().Records.Records == [2]int64{1, 1} }, patience, 20*time.Millisecond)

	requirePage(t, page(t, ma), map[string]float64{
		`holdfast_state{state="server"}`: 1, `holdfast_routing_table_peers`: 1, `holdfast_routing_table_verified_peers`: 1,
		`holdfast_connected_peers{dir="inbound"}`: 1, `holdfast_connected_peers{dir="outbound"}`: 0,
		`holdfast_bootstrap_attempts_total{outcome="skipped"}`:                  1,
		`holdfast_records{kind="provider"}`:                                     1,
		`holdfast_records{kind="value"}`:                                        1,
		`holdfast_record_puts_total{kind="provider",outcome="stored"}`:          1,
		`holdfast_record_puts_total{kind="value",outcome="stored"}`:             1,
		`holdfast_rpc_inbound_requests_total{outcome="reply",type="PUT_VALUE"}`: 1,
		`holdfast_republish_keys{kind="provider"}`:                              0,
		`holdfast_routing_table_changes_total{action="added"}`:                  1,
	})
	got := page(t, mb)
	requirePage(t, got, map[string]float64{
		`holdfast_bootstrap_attempts_total{outcome="ok"}`:                        1,
		`holdfast_connected_peers{dir="outbound"}`:                               1,
		`holdfast_lookups_total{op="store_provider",outcome="ok"}`:               1,
		`holdfast_lookups_total{op="find_value",outcome="not_found"}`:            1,
		`holdfast_rpc_outbound_requests_total{outcome="reply",type="PUT_VALUE"}`: 1,
		`holdfast_republish_keys{kind="provider"}`:                               1,
		`holdfast_republish_total{kind="value",outcome="ok"}`:                    1,
		`holdfast_republish_replicas_count`:                                      2,
		`holdfast_republish_find_node_total`:                                     2,
		`holdfast_republish_overdue_keys`:                                        0,
		`holdfast_db_max_bytes`:                                                  storage.DefaultMaxBytes,
		`holdfast_db_copies_bytes`:                                               float64(len(aside)),
		`holdfast_db_failed`:                                                     0,
		`holdfast_disk_full`:                                                     1,
		`holdfast_lookups_in_flight`:                                             0,
	})
	require.Less(t, got[`holdfast_disk_free_bytes`], got[`holdfast_disk_size_bytes`])
	for _, some := range []string{
		`holdfast_db_size_bytes`, `holdfast_disk_free_bytes`, `holdfast_db_commit_duration_seconds_count`, `holdfast_network_size_estimate`,
		`holdfast_probes_total{outcome="ok"}`, `holdfast_requests_total{outcome="ok",role="probe"}`,
		`go_goroutines`, `libp2p_swarm_connections_opened_total`, `libp2p_rcmgr_connections`,
	} {
		require.Positive(t, sum(got, some), some)
	}
}

func requirePage(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for name, v := range want {
		require.Contains(t, got, name)
		require.InDelta(t, v, got[name], 1e-9, name)
	}
}

// sum returns the sum of all series with a name, whatever their other labels.
func sum(page map[string]float64, name string) (total float64) {
	for series, v := range page {
		if series == name || strings.HasPrefix(series, name+"{") {
			total += v
		}
	}
	return total
}
