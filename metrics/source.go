package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
)

// Source is read at each scrape. One goroutine at a time calls its parts. Together they
// should return within readTimeout.
type Source struct {
	Node     Node                     // nil: there is no node yet; its metrics are 0
	Database Database                 // nil: the node stores its records elsewhere, and the database metrics are 0
	Quotas   [records.NumQuotas]int64 // limits of the node's store
	First    bool                     // the node is the first of its network, which may be alone
	DiskFull func() bool              // reports whether the disk is full; nil: unknown, the metric is 0

	RefusedConnections func() RefusedConnections // nil: unknown, the metric is 0

	UncleanStarts int64        // starts on this data directory after a crash, a kill or a power cut, this one included
	MemoryLimit   func() int64 // memory that the process may use, in bytes, or 0; nil: unknown, the metric is 0
}

// RefusedConnections counts the connections that were refused because of their address.
type RefusedConnections struct {
	Limit uint64 // too many were open with the address
	Rate  uint64 // too many were opened from the address within a short time
}

// The reasons of connections_refused_total.
const (
	RefusedLimit = "address_limit"
	RefusedRate  = "address_rate"
)

// Node is the part of a node that a scrape reads.
type Node interface{ Status() node.Status }

// Database is the part of a database that a scrape reads.
type Database interface {
	Sizes() (storage.Sizes, error)
	CopiesSize() (n int, bytes int64, err error)
	Damage() (storage.Damage, error) // damaged files that were moved aside
	Err() error                      // why it refuses writes
}

var (
	_ Node     = (*node.Node)(nil)
	_ Database = (*storage.DB)(nil)
)

// scrape contains the values for the families.
type scrape struct {
	node.Status // zero without a node
	hasNode     bool
	first       bool
	state       string
	sizes       storage.Sizes
	copiesSize  int64 // bytes
	corrupt     int   // damaged files
	failed      bool  // the database refuses writes
	diskFull    bool
	quotas      [records.NumQuotas]int64 // limits

	refused       RefusedConnections
	uncleanStarts int64
	memoryLimit   int64 // bytes
}

// read reads all parts of the source.
func (s *Source) read() scrape {
	r := scrape{quotas: s.Quotas, first: s.First, diskFull: s.DiskFull != nil && s.DiskFull(), uncleanStarts: s.UncleanStarts}
	if s.RefusedConnections != nil {
		r.refused = s.RefusedConnections()
	}
	if s.MemoryLimit != nil {
		r.memoryLimit = s.MemoryLimit()
	}
	if s.Node != nil {
		r.hasNode, r.Status = true, s.Node.Status()
	}
	if db := s.Database; db != nil {
		if sizes, err := db.Sizes(); err == nil { // storage.Observer counts the error
			r.sizes = sizes
		}
		if _, bytes, err := db.CopiesSize(); err == nil {
			r.copiesSize = bytes
		}
		if d, err := db.Damage(); err == nil {
			r.corrupt = d.Files
		}
		r.failed = db.Err() != nil
	}
	return r
}

// readTimeout bounds how long a scrape waits for the Source. It is less than the 10 s that
// Prometheus waits by default, so that a hung node can still be inspected.
const readTimeout = 4 * time.Second

// puller reads a Source at each scrape. Safe for concurrent use.
type puller struct {
	families []family
	descs    []*prometheus.Desc
	stopping func() bool
	timeouts prometheus.Counter
	onTime   prometheus.Gauge
	timeout  time.Duration

	mu      sync.Mutex
	source  *Source
	pending *pull
}

// pull is one read of the source, shared by all scrapes that wait for it.
type pull struct {
	done chan struct{}
	read scrape // set once done is closed
}

func newPuller(r registrar, stopping func() bool) *puller {
	p := &puller{
		families: families,
		stopping: stopping,
		timeout:  readTimeout,
		onTime:   r.gauge("republish_last_cycle_timestamp_seconds", "Time of the last scrape at which no key was overdue for republishing; 0: none yet."),
		timeouts: r.counter("scrape_timeouts_total", "Scrapes without the metrics that are read from the node, because it did not answer in time."),
	}
	for _, f := range p.families {
		p.descs = append(p.descs, prometheus.NewDesc(prometheus.BuildFQName(Namespace, "", f.name), f.help, f.labels, nil))
	}
	return p
}

func (p *puller) watch(s Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.source = &s
}

// Describe implements prometheus.Collector.
func (p *puller) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range p.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p *puller) Collect(ch chan<- prometheus.Metric) {
	s, ok := p.read()
	if !ok {
		p.timeouts.Inc()
		return
	}
	if s.Republish.Overdue == 0 && s.state != stateStarting && s.state != stateStopping {
		setNow(p.onTime)
	}
	for i, f := range p.families {
		f.read(s, func(v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(p.descs[i], f.kind, v, labels...)
		})
	}
}

// read reads the source. It returns false if it does not answer in time. The goroutine of a read
// that hangs stays until it returns, and no other is started meanwhile.
func (p *puller) read() (*scrape, bool) {
	p.mu.Lock()
	if p.source == nil {
		p.mu.Unlock()
		return &scrape{state: p.state(nil)}, true
	}
	if p.pending == nil {
		p.pending = &pull{done: make(chan struct{})}
		go p.run(p.pending, p.source)
	}
	q := p.pending
	p.mu.Unlock()
	timer := time.NewTimer(p.timeout)
	defer timer.Stop()
	select {
	case <-q.done:
		s := q.read // a copy, because other scrapes read it too
		if s.state = p.state(nil); s.hasNode {
			s.state = p.state(&s.Status)
		}
		return &s, true
	case <-timer.C:
		return nil, false
	}
}

func (p *puller) run(q *pull, s *Source) {
	q.read = s.read()
	p.mu.Lock()
	p.pending = nil
	p.mu.Unlock()
	close(q.done)
}

// state returns the state of the node. s is nil before there is a node.
func (p *puller) state(s *node.Status) string {
	switch {
	case p.stopping():
		return stateStopping
	case s == nil:
		return stateStarting
	case !s.Bootstrapped:
		return stateJoining
	case !s.IsolatedSince.IsZero():
		return stateIsolated
	case s.Serving:
		return stateServer
	}
	return stateClient
}
