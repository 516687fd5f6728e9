package sim

import (
	"fmt"
	"math"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Report has the results of a run. Times are in seconds unless their name says otherwise;
// shares are between 0 and 1.
type Report struct {
	Scenario    string        `json:"scenario"`
	Title       string        `json:"title"`
	Options     string        `json:"options"`  // those that differ from their defaults, as flags
	Settings    []OptionValue `json:"settings"` // all options, in the order of the flags
	Fingerprint string        `json:"fingerprint"`
	Events      uint64        `json:"events"`
	Requests    int64         `json:"requests"`
	Phases      []Phase       `json:"phases"`
	Series      []Point       `json:"series,omitempty"`
	Violations  []string      `json:"violations,omitempty"`
}

// OptionValue is the value of one option.
type OptionValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Phase is a measured part of a run.
type Phase struct {
	Name    string  `json:"name"`
	From    float64 `json:"from_hours"` // since the end of the warmup
	Hours   float64 `json:"hours"`
	Servers int     `json:"servers"` // live and honest, at its end

	Ops         []Op           `json:"ops"`
	Tables      Tables         `json:"tables"`
	Size        Size           `json:"network_size"`
	Traffic     []Traffic      `json:"traffic"`
	Roles       []Role         `json:"roles"`
	Load        Load           `json:"load"`
	Records     *Records       `json:"records,omitempty"`
	Republished *Republication `json:"republished,omitempty"`
	Joined      *Dist          `json:"joined,omitempty"`   // from start to the end of the first self-lookup
	Restored    *Dist          `json:"restored,omitempty"` // from restart to 95 % of the saved table verified again
}

// Dist summarises samples.
type Dist struct {
	Count int     `json:"count"`
	Mean  float64 `json:"mean"`
	P5    float64 `json:"p5"`
	P25   float64 `json:"p25"`
	P50   float64 `json:"p50"`
	P75   float64 `json:"p75"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// Op is the outcome of one kind of operation of the workload.
type Op struct {
	Kind     string  `json:"kind"`
	Count    int     `json:"count"`
	Success  float64 `json:"success"` // lookup: found the nearest peer; provide, put: at least one peer stored it; find, get: found the record
	Refused  int     `json:"refused"` // the node had reached its limit of queries
	Took     Dist    `json:"took"`
	First    *Dist   `json:"first_record,omitempty"` // until the first record arrived
	Messages Dist    `json:"messages"`               // requests sent
	Hops     float64 `json:"hops"`                   // mean, of the farthest of the closest peers
	FirstHop float64 `json:"first_hop"`              // mean answers until one of the true k closest was named
	Rounds   float64 `json:"rounds"`                 // mean of the longest chain of answers
	Recall   float64 `json:"recall"`                 // share of the true k closest that were returned (lookup, provide, put)
	Stored   float64 `json:"stored_at"`              // mean number of peers that stored the record (provide, put)
	Overlap  float64 `json:"overlap"`                // share of the k closest at the time of the search that hold the record (find, get)
}

// Tables compares routing tables with the truth.
type Tables struct {
	Peers    float64 `json:"peers"`    // mean of a table
	Stale    float64 `json:"stale"`    // share of the verified entries that are down
	Complete float64 `json:"complete"` // of the live peers that buckets have capacity for, the share they hold
}

// Size compares the nodes' estimates of the number of servers with the truth.
type Size struct {
	Nodes int     `json:"nodes"` // sampled nodes that have an estimate
	Bias  float64 `json:"bias"`  // mean relative error
	Sigma float64 `json:"sigma"` // standard deviation of the relative error
}

// Traffic is the traffic of one type of message.
type Traffic struct {
	Type     string  `json:"type"`
	Requests int64   `json:"requests"`
	Bytes    float64 `json:"bytes_per_server_second"` // requests and answers
}

// Role counts the requests of one purpose.
type Role struct {
	Role   string  `json:"role"`
	Ended  int64   `json:"ended"`
	Failed float64 `json:"failed"` // share
}

// Load is the distribution of requests over the servers.
type Load struct {
	Mean float64 `json:"mean"` // requests per server and minute
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Gini float64 `json:"gini"` // 0: all servers equal, 1: one server serves everything
}

// Records counts the surviving records of the workload.
type Records struct {
	Contents int     `json:"contents"`
	Holders  float64 `json:"holders"` // live holders of a content, mean
	Fewest   int64   `json:"fewest"`
	Lost     int     `json:"lost"` // before their expiry
}

// Republication is the cost of republishing.
type Republication struct {
	Keys      int64   `json:"keys"` // keys republished by the schedule
	Messages  float64 `json:"messages_per_key"`
	FindNodes float64 `json:"find_nodes_per_key"`
	PerServer float64 `json:"find_nodes_per_server"`
	Replicas  float64 `json:"replicas"` // peers that stored a record, mean
}

// Report summarises the run up to now.
func (w *World) Report() *Report {
	r := &Report{
		Scenario: w.scenario.Name, Title: w.scenario.Title, Options: w.opts.String(),
		Settings: w.opts.values(), Fingerprint: fmt.Sprintf("%016x", w.Fingerprint()), Events: w.events,
		Series: w.series, Violations: w.violations,
		Phases: []Phase{}, // an empty list in JSON, not null
	}
	for _, p := range w.phases {
		r.Phases = append(r.Phases, w.reportPhase(p))
		for _, t := range p.traffic {
			r.Requests += t.requests
		}
	}
	return r
}

func (w *World) reportPhase(p *phase) Phase {
	took := (p.to - p.from).Seconds()
	r := Phase{
		Name: p.name, From: round(w.sinceWarmup(p.from).Hours()), Hours: round(took / 3600), Servers: p.size.servers,
		Tables: Tables{
			Peers: round(p.tables.peers.mean()), Stale: round(p.tables.stale.value()), Complete: round(p.tables.complete.value()),
		},
		Size: Size{Nodes: p.size.nodes, Bias: round(p.size.bias), Sigma: round(p.size.sigma)},
		Load: p.load.report(took),
		Ops:  []Op{}, Traffic: []Traffic{}, Roles: []Role{},
	}
	for k := range p.ops {
		if s := &p.ops[k]; s.count+s.refused > 0 {
			r.Ops = append(r.Ops, s.report(opKind(k)))
		}
	}
	for t, x := range p.traffic {
		if x.requests > 0 {
			bytes := float64(x.requestBytes+x.answerBytes) / math.Max(took, 1) / float64(max(1, p.size.servers))
			r.Traffic = append(r.Traffic, Traffic{Type: wire.Type(t).String(), Requests: x.requests, Bytes: round(bytes)})
		}
	}
	for role, x := range p.roles {
		if x.sent > 0 {
			r.Roles = append(r.Roles, Role{Role: dht.Role(role).String(), Ended: x.sent, Failed: round(float64(x.failed) / float64(x.sent))})
		}
	}
	p.reportRest(&r)
	return r
}

// reportRest adds the measures that not every phase has.
func (p *phase) reportRest(r *Phase) {
	if x := &p.records; x.contents > 0 {
		r.Records = &Records{Contents: x.contents, Holders: round(x.holders.mean()), Fewest: x.holders.quantile(0), Lost: x.lost}
	}
	if x := &p.republished; x.keys > 0 {
		keys := float64(x.keys)
		r.Republished = &Republication{
			Keys: x.keys, Messages: round(float64(x.asked+x.stores) / keys), FindNodes: round(float64(x.asked) / keys),
			PerServer: round(float64(x.asked) / float64(max(1, p.size.servers))), Replicas: round(float64(x.replicas) / keys),
		}
	}
	r.Joined, r.Restored = p.joined.dist(1e6), p.restored.dist(1e6)
}

func (s *opStats) report(k opKind) Op {
	return Op{
		Kind: opNames[k], Count: s.count, Success: round(float64(s.succeeded) / float64(max(1, s.count))), Refused: s.refused,
		Took: s.took.summary(1e6), First: s.first.dist(1e6), Messages: s.messages.summary(1),
		Hops: round(s.hops.mean()), FirstHop: round(s.firstHop.mean()), Rounds: round(s.rounds.mean()),
		Recall: round(s.recall.value()), Stored: round(s.stored.mean()), Overlap: round(s.overlap.value()),
	}
}

// dist returns the summary, or nil without samples.
func (s *samples) dist(unit float64) *Dist {
	if len(s.list) == 0 {
		return nil
	}
	d := s.summary(unit)
	return &d
}

// summary returns the distribution in multiples of unit.
func (s *samples) summary(unit float64) Dist {
	at := func(q float64) float64 { return round(float64(s.quantile(q)) / unit) }
	return Dist{
		Count: len(s.list), Mean: round(s.mean() / unit), P5: at(0.05), P25: at(0.25), P50: at(0.5), P75: at(0.75),
		P95: at(0.95), P99: at(0.99), Max: at(1),
	}
}

func (l *loadStats) report(seconds float64) Load {
	perMinute := 60 / math.Max(seconds, 1)
	at := func(q float64) float64 { return round(float64(l.served.quantile(q)) * perMinute) }
	return Load{Mean: round(l.served.mean() * perMinute), P99: at(0.99), Max: at(1), Gini: round(l.served.gini())}
}

// gini is the Gini coefficient of the samples.
func (s *samples) gini() float64 {
	if s.sum == 0 {
		return 0
	}
	s.quantile(0) // sorts
	weighted, n := 0.0, float64(len(s.list))
	for i, x := range s.list {
		weighted += float64(i+1) * float64(x)
	}
	return float64(2*weighted)/float64(n*float64(s.sum)) - (n+1)/n
}

// tiny is the smallest number that a report shows.
const tiny = 1e-100

// round keeps five significant digits: more could differ between machines.
func round(x float64) float64 {
	if math.Abs(x) < tiny || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	scale := 1.0
	for a := math.Abs(x); a*scale < 1e4; {
		scale *= 10
	}
	return math.Round(x*scale) / scale
}
