package dht

import (
	"bytes"
	"math"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/lookup"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// MaxTraceSteps limits the requests in a trace, 112 bytes each. A lookup asks ten to
// sixty peers and stores at twenty.
const MaxTraceSteps = 256

// Limits of what a trace keeps of a query's result: at most 14 KB. Callers get the whole
// result as Result and Progress.
const (
	// MaxTraceValue limits the kept part of a value, in bytes.
	MaxTraceValue = 512
	// MaxTracePeers limits the peers found.
	MaxTracePeers = 10
	// MaxTraceAddrs limits the addresses of each of them.
	MaxTraceAddrs = 4
)

// Trace is the history of one query: which peers were asked, when, with what outcome, and
// why it ended. It is complete and immutable when the Machine puts it out.
type Trace struct {
	Query   QueryID
	Key     []byte // preimage
	Target  kad.Key
	Started time.Time
	Looked  time.Duration // end of the lookup, since Started; later steps are stores
	Seeds   int           // peers the lookup began with
	End     End
	Stats   QueryStats
	Closest []kad.Peer // the k nearest that answered
	Steps   []Step     // in the order of sending
	Omitted int        // steps beyond MaxTraceSteps

	Value     []byte      // the first MaxTraceValue bytes of the value found or stored
	ValueSize int         // of the whole value; 0: there is none
	OwnValue  bool        // FindValue: this node's own store had the value that was found
	Found     []wire.Peer // FindProviders: the first providers; FindPeer: the peer. ID and addresses only
	FoundAll  int         // peers found, including those beyond MaxTracePeers
}

// End is why a lookup ended.
type End uint8

// The ends of lookups.
const (
	EndNone      End = iota // there was none (entry correction)
	EndNearest              // the beta nearest peers known have answered
	EndEnough               // the lookup has found enough
	EndExhausted            // all peers known were asked, and fewer than beta answered
	EndNobody               // there was no peer to ask
	EndTimeout              // the query timed out
	EndCancelled            // the caller cancelled the query
)

var endNames = [...]string{"none", "nearest", "enough", "exhausted", "nobody", "timeout", "cancelled"}

// String returns one word for the end.
func (e End) String() string { return endNames[e] }

// Step is one request of a query.
type Step struct {
	Peer      kad.Peer
	Role      Role
	State     StepState
	Value     ValueState
	Hop       int16         // answers that led to the peer; 0: known at the start
	Named     uint16        // closer peers in the answer
	New       uint16        // of them: peers new to the query
	Providers uint16        // in the answer
	Sent      time.Duration // since Trace.Started, as are the next two
	Slow      time.Duration // when the peer lost its place; 0: never
	Ended     time.Duration
	RTT       time.Duration // of the answer as the driver measured it, without a dial; 0: unknown
	Err       error         // StepFailed
}

// StepState is the outcome of a request.
type StepState uint8

// The states of a step.
const (
	StepWaiting StepState = iota // only while the query runs
	StepAnswered
	StepFailed
	StepCancelled // the query ended first
)

var stepNames = [...]string{"waiting", "answered", "failed", "cancelled"}

// String returns one word for the state.
func (s StepState) String() string { return stepNames[s] }

// ValueState is how the value in an answer compares to the final value of the query.
type ValueState uint8

// The states of values.
const (
	ValueNone ValueState = iota
	ValueBest
	ValueOther
)

var valueNames = [...]string{"none", "best", "other"}

// String returns a word for the state.
func (v ValueState) String() string { return valueNames[v] }

// The methods below do nothing on a nil Trace. Without Config.Trace all traces are nil.

// known returns how many peers the lookup has heard of.
func (t *Trace) known(l *lookup.Lookup) int {
	if t == nil {
		return 0
	}
	return l.Stats().Heard
}

// sent begins the step of a request.
func (t *Trace) sent(now time.Time, r *request) {
	switch {
	case t == nil:
		return
	case len(t.Steps) >= MaxTraceSteps:
		t.Omitted++
		return
	}
	s := Step{Peer: r.to, Role: r.role, Sent: now.Sub(t.Started)}
	if r.query.lookup != nil {
		s.Hop = int16(min(r.query.lookup.Hop(r.to.Key), math.MaxInt16))
	}
	t.Steps = append(t.Steps, s)
	r.step = len(t.Steps)
}

// of returns the step of a request, nil if it has none.
func (t *Trace) of(r *request) *Step {
	if t == nil || r.step == 0 {
		return nil
	}
	return &t.Steps[r.step-1]
}

func (t *Trace) slow(now time.Time, r *request) {
	if s := t.of(r); s != nil {
		s.Slow = now.Sub(t.Started)
	}
}

// answered ends a step. before is what known returned before the answer was taken.
func (t *Trace) answered(now time.Time, r *request, resp *Response, before int) {
	s := t.of(r)
	if s == nil {
		return
	}
	s.State, s.Ended, s.RTT = StepAnswered, now.Sub(t.Started), resp.RTT
	if resp.Message == nil {
		return
	}
	s.Named = clamp(len(resp.Closer))
	s.Providers = clamp(r.found + len(resp.Message.ProviderPeers))
	if r.role == RoleLookup {
		s.New = clamp(t.known(r.query.lookup) - before)
	}
}

func clamp(n int) uint16 { return uint16(min(n, math.MaxUint16)) }

func (t *Trace) failed(now time.Time, r *request, err error) {
	if s := t.of(r); s != nil {
		s.State, s.Ended, s.Err = StepFailed, now.Sub(t.Started), err
	}
}

func (t *Trace) cancelled(now time.Time, r *request) {
	if s := t.of(r); s != nil {
		s.State, s.Ended = StepCancelled, now.Sub(t.Started)
	}
}

// lookupDone records the end of the lookup. Only the first call counts.
func (t *Trace) lookupDone(now time.Time, e End) {
	if t != nil && t.End == EndNone {
		t.End, t.Looked = e, now.Sub(t.Started)
	}
}

// found keeps a provider, or more addresses of one. The addresses are copies, because
// those of an answer share its buffer.
func (t *Trace) found(p *wire.Peer) {
	if t == nil {
		return
	}
	at := slices.IndexFunc(t.Found, func(q wire.Peer) bool { return q.ID == p.ID })
	if at < 0 && len(t.Found) < MaxTracePeers {
		at = len(t.Found)
		t.Found = append(t.Found, wire.Peer{ID: p.ID})
	}
	if at < 0 {
		return
	}
	kept := &t.Found[at]
	for _, a := range p.Addrs[:min(len(p.Addrs), MaxTraceAddrs-len(kept.Addrs))] {
		kept.Addrs = append(kept.Addrs, bytes.Clone(a))
	}
}

// finished completes the trace of a query.
func (t *Trace) finished(q *query, res *Result) {
	t.Stats, t.Closest = res.Stats, res.Closest
	t.FoundAll = len(q.providers.addrs)
	if res.Peer.ID != "" {
		t.found(&res.Peer)
		t.FoundAll = 1
	}
	value := q.best.Value
	t.OwnValue = q.Kind == FindValue && value != nil && bytes.Equal(q.Value.Value, value)
	if value == nil {
		value = q.Value.Value // StoreValue, Correct
	}
	t.Value, t.ValueSize = bytes.Clone(value[:min(len(value), MaxTraceValue)]), len(value)
	for i := range t.Steps {
		t.Steps[i].Value = q.valueOf(t.Steps[i].Peer.Key)
	}
}

// valueOf returns the state of the value that a peer answered.
func (q *query) valueOf(peer kad.Key) ValueState {
	for _, h := range q.held {
		if h.peer == peer && bytes.Equal(h.value, q.best.Value) {
			return ValueBest
		} else if h.peer == peer {
			return ValueOther
		}
	}
	return ValueNone
}

// newTrace starts the trace of a query, or returns nil without Config.Trace.
func (m *Machine) newTrace(now time.Time, q *query) *Trace {
	if !m.cfg.Trace {
		return nil
	}
	return &Trace{Query: q.id, Key: q.Key, Target: kad.KeyOf(q.Key), Started: now}
}

// endOf returns why a lookup is done that ended by itself.
func (m *Machine) endOf(q *query) End {
	if q.trace == nil {
		return EndNone
	}
	switch s := q.lookup.Stats(); {
	case s.Asked == 0:
		return EndNobody
	case s.Responded >= m.lookupConfig(q).Beta:
		return EndNearest
	}
	return EndExhausted
}
