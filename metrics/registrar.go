package metrics

import "github.com/prometheus/client_golang/prometheus"

// Bounds of histogram buckets in seconds. With steps of about 2.5, the error of a quantile
// stays within a factor that an operator would not notice.
var (
	// rpcBuckets: 100 us is a request served from memory, 10 s its timeout.
	rpcBuckets = []float64{1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	// lookupBuckets: from one round trip nearby to the timeout of a query.
	lookupBuckets = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60}
	// diskBuckets: 100 us is a commit to a cache, 10 s a failing disk. Also used for
	// operations that write many pages, such as expiry.
	diskBuckets = rpcBuckets
	// lagBuckets: from a key that started on time or a second late up to a day late.
	lagBuckets = []float64{1, 10, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600}
)

// Bounds of histogram buckets in counts.
var (
	hopBuckets     = []float64{0, 1, 2, 3, 4, 5, 6, 8, 10, 15}
	queriedBuckets = []float64{0, 1, 3, 5, 10, 20, 30, 50, 75, 100, 150, 200}
	replicaBuckets = []float64{0, 1, 3, 5, 10, 15, 18, 19, 20}
	batchBuckets   = []float64{1, 4, 16, 64, 256, 1024, 4096} // a storage transaction has at most 4096 writes
)

// registrar creates metrics in our namespace and registers them.
type registrar struct{ reg prometheus.Registerer }

func (r registrar) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: Namespace, Name: name, Help: help})
	r.reg.MustRegister(c)
	return c
}

func (r registrar) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: Namespace, Name: name, Help: help})
	r.reg.MustRegister(g)
	return g
}

func (r registrar) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: Namespace, Name: name, Help: help, Buckets: buckets})
	r.reg.MustRegister(h)
	return h
}

func (r registrar) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: Namespace, Name: name, Help: help}, labels)
	r.reg.MustRegister(v)
	return v
}

func (r registrar) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: Namespace, Name: name, Help: help}, labels)
	r.reg.MustRegister(v)
	return v
}

func (r registrar) histogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: Namespace, Name: name, Help: help, Buckets: buckets}, labels)
	r.reg.MustRegister(v)
	return v
}

// outcome returns the label of an operation that succeeded or failed.
func outcome(ok bool) string {
	if ok {
		return "ok"
	}
	return "failed"
}

// okFailed returns the children of such a counter: [0] failed, [1] ok.
func okFailed(v *prometheus.CounterVec, before ...string) (c [2]prometheus.Counter) {
	for i := range c {
		c[i] = v.WithLabelValues(append(before[:len(before):len(before)], outcome(i == 1))...)
	}
	return c
}

func index(ok bool) int {
	if ok {
		return 1
	}
	return 0
}
