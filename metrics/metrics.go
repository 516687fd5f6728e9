package metrics

import (
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/storage"
)

// Namespace is the prefix of the names of all our metrics.
const Namespace = "holdfast"

// maxScrapes bounds concurrent scrapes, which allows for a second Prometheus and a manual
// request. Further scrapes get 503.
const maxScrapes = 4

// Metrics holds the metrics of one node. Safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	dht      *dhtObserver
	rpc      *rpcObserver
	keeping  *diskObserver
	storage  *storageObserver
	pull     *puller
	stopping atomic.Bool

	reloadOK prometheus.Gauge
	reloadAt prometheus.Gauge
}

// New returns the metrics of a program with this version and source revision.
func New(version, revision string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	r := registrar{m.registry}
	r.gaugeVec("build_info", "Always 1; the labels describe the running build.", "version", "revision", "goversion").
		WithLabelValues(version, revision, runtime.Version()).Set(1)
	m.reloadOK = r.gauge("config_last_reload_successful", "1 if the last load of the configuration succeeded, 0 if it failed.")
	m.reloadAt = r.gauge("config_last_reload_success_timestamp_seconds", "Time of the last successful load of the configuration.")
	m.dht = newDHTObserver(r)
	m.rpc = newRPCObserver(r)
	m.keeping = newDiskObserver(r)
	m.storage = newStorageObserver(r)
	m.pull = newPuller(r, m.stopping.Load)
	m.registry.MustRegister(m.pull)
	m.ConfigLoaded(nil)
	return m
}

// Registerer returns the registry, for other collectors of the process such as those of
// go-libp2p (libp2p.PrometheusRegisterer).
func (m *Metrics) Registerer() prometheus.Registerer { return m.registry }

// Gatherer returns all metrics that the Handler serves.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Handler serves the metrics over HTTP. If a collector fails, only its own metrics are
// missing; promhttp_metric_handler_errors_total counts this.
func (m *Metrics) Handler() http.Handler {
	h := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry:            m.registry,
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
	})
	return promhttp.InstrumentMetricHandler(m.registry, h)
}

// DHT observes the protocol (node.Config.Observer).
func (m *Metrics) DHT() dht.Observer { return m.dht }

// RPC observes single requests (node.Config.RPCObserver).
func (m *Metrics) RPC() rpc.Observer { return m.rpc }

// Housekeeping observes snapshots and expiry (node.Config.Housekeeping).
func (m *Metrics) Housekeeping() node.HousekeepingObserver { return m.keeping }

// Storage observes the database (storage.Options.Observer).
func (m *Metrics) Storage() storage.Observer { return m.storage }

// Watch sets the Source that is read at each scrape. It replaces the previous one.
func (m *Metrics) Watch(s Source) { m.pull.watch(s) }

// Stopping records that the node is shutting down, for the state metric.
func (m *Metrics) Stopping() { m.stopping.Store(true) }

// ConfigLoaded records a load of the configuration: successful (nil) or failed. New counts as
// the first load.
func (m *Metrics) ConfigLoaded(err error) {
	if err != nil {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	setNow(m.reloadAt)
}

func setNow(g prometheus.Gauge) { g.Set(seconds(time.Now())) }

// seconds returns t as Unix time, or 0 for the zero time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1e3
}
