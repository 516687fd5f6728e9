package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// Source is what a scrape reads. Read is called by one goroutine at a time and
// should return within readTimeout.
type Source interface {
	Read() Reading
}

// Reading is the state of a node at one moment.
type Reading struct {
	Bootstrapped bool   // the table was restored or bootstrap was attempted
	Isolated     bool   // the node had peers, and none answers
	Serving      bool   // in server mode
	Reachability string // public, private; else unknown

	TablePeers    int
	VerifiedPeers int
	RestoredPeers int         // taken from the snapshot at start
	Buckets       map[int]int // peers by common prefix length
	NetworkSize   float64     // peers, estimated; 0: unknown
	OldestRefresh time.Time   // of the bucket refreshed longest ago; zero: one never was

	Load            dht.Load
	InboundStreams  int // open
	OutboundStreams int // in use
	IdleStreams     int // outbound, kept for the next request
	WaitingCalls    int // for the goroutine that owns the protocol
	DroppedCalls    uint64

	ConnectedIn, ConnectedOut int // peers, by the direction of their oldest connection
	Bootstraps                [NumBootstrapOutcomes]uint64

	RepublishKeys, RepublishActive, RepublishOverdue int // in the schedule
	// FewestHolders is the least number of peers that took a published key when it was
	// last tried, FewestHoldersKeys the number of keys with so few; 0: none was tried.
	FewestHolders, FewestHoldersKeys int

	Records        records.Stats
	Quotas         [records.NumQuotas]int64 // the limits
	DBSize, DBFree int64                    // bytes
	DBFill         float64                  // of the room for new records, in the fullest file
	DBCopies       int64                    // bytes of files put aside
	DBFailed       bool                     // a file takes no more writes
	DiskFree       int64                    // bytes, of the file system of the database
	DiskSize       int64                    // 0: unknown
	DiskFull       bool
}

// The outcomes of an attempt to reach the bootstrap peers.
const (
	BootstrapReached = iota // at least one
	BootstrapFailed         // none
	BootstrapSkipped        // there are none to reach

	NumBootstrapOutcomes = 3
)

// readTimeout bounds what a scrape waits for the Source: less than the 10 s that
// Prometheus waits by default, so that a hung node can still be looked into.
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
	source  Source
	pending *pull
}

// pull is one call of Source.Read, shared by the scrapes that wait for it.
type pull struct {
	done    chan struct{}
	reading Reading // set once done is closed
}

func newPuller(r registrar, stopping func() bool) *puller {
	p := &puller{
		families: families,
		stopping: stopping,
		timeout:  readTimeout,
		onTime:   r.gauge("republish_last_cycle_timestamp_seconds", "The last scrape at which the republication of no key was overdue; 0: none yet."),
		timeouts: r.counter("scrape_timeouts_total", "Scrapes that went without the metrics read from the node because it did not answer in time."),
	}
	for _, f := range p.families {
		p.descs = append(p.descs, prometheus.NewDesc(prometheus.BuildFQName(Namespace, "", f.name), f.help, f.labels, nil))
	}
	return p
}

func (p *puller) watch(s Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.source = s
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
	if s.RepublishOverdue == 0 && s.state != stateStarting && s.state != stateStopping {
		setNow(p.onTime)
	}
	for i, f := range p.families {
		f.read(s, func(v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(p.descs[i], f.kind, v, labels...)
		})
	}
}

// read asks the source; false if it does not answer in time. The goroutine of a
// Read that hangs stays until it returns, and no other is begun meanwhile.
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
		return &scrape{Reading: q.reading, state: p.state(&q.reading)}, true
	case <-timer.C:
		return nil, false
	}
}

func (p *puller) run(q *pull, s Source) {
	q.reading = s.Read()
	p.mu.Lock()
	p.pending = nil
	p.mu.Unlock()
	close(q.done)
}

// state names what the node is up to; r is nil before there is one.
func (p *puller) state(r *Reading) string {
	switch {
	case p.stopping():
		return stateStopping
	case r == nil:
		return stateStarting
	case !r.Bootstrapped:
		return stateJoining
	case r.Isolated:
		return stateIsolated
	case r.Serving:
		return stateServer
	}
	return stateClient
}
