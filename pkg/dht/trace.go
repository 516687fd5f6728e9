package dht

import (
	"bytes"
	"math"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/lookup"
)

// MaxTraceSteps bounds the requests that a trace tells of, 120 bytes each. A lookup
// asks ten to sixty peers and stores at twenty.
const MaxTraceSteps = 256

// Trace is the story of one query: who was asked, when, what came of it and why it
// ended. It is complete and immutable when it comes out of the Machine.
type Trace struct {
	Query   QueryID
	Key     []byte // preimage
	Target  kad.Key
	Started time.Time
	Looked  time.Duration // when the lookup was over, since Started; what follows are stores
	Seeds   int           // peers the lookup began with
	End     End
	Stats   QueryStats
	Closest []kad.Peer // the k nearest that answered
	Steps   []Step     // in the order of sending
	Omitted int        // steps beyond MaxTraceSteps
}

// End says why a lookup ended.
type End uint8

// Why a lookup can end.
const (
	EndNone      End = iota // there was none (entry correction)
	EndNearest              // the nearest peers known have answered, as many as beta
	EndEnough               // what was looked for has been found
	EndExhausted            // everybody known was asked, and fewer than beta answered
	EndNobody               // there was nobody to ask
	EndTimeout              // the query ran out of time
	EndCancelled            // its caller wanted no more
)

var endNames = [...]string{"none", "nearest", "enough", "exhausted", "nobody", "timeout", "cancelled"}

// String returns a word for the end.
func (e End) String() string { return endNames[e] }

// Step is one request of a query.
type Step struct {
	Peer      kad.Peer
	Role      Role
	State     StepState
	Value     ValueState
	Hop       int16         // answers that led to the peer; 0: known before
	Named     uint16        // closer peers in the answer
	New       uint16        // of them, the query had not heard of before
	Providers uint16        // in the answer
	Sent      time.Duration // since Trace.Started, as are the next two
	Slow      time.Duration // when its place went to another; 0: it did not
	Ended     time.Duration
	RTT       time.Duration // of the answer as the driver measured it, without a dial; 0: unknown
	Err       error         // StepFailed
}

// StepState says what became of a request.
type StepState uint8

// What can become of a request.
const (
	StepWaiting StepState = iota // only while the query runs
	StepAnswered
	StepFailed
	StepCancelled // the query ended first
)

var stepNames = [...]string{"waiting", "answered", "failed", "cancelled"}

// String returns a word for the state.
func (s StepState) String() string { return stepNames[s] }

// ValueState says how the value in an answer compares to the one the query ended
// with.
type ValueState uint8

// How values compare.
const (
	ValueNone ValueState = iota
	ValueBest
	ValueOther
)

var valueNames = [...]string{"none", "best", "other"}

// String returns a word for the state.
func (v ValueState) String() string { return valueNames[v] }

// The methods below do nothing on a nil Trace, which is what a Machine without
// Config.Trace has.

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

// lookupDone notes the end of the lookup; the first one counts.
func (t *Trace) lookupDone(now time.Time, e End) {
	if t != nil && t.End == EndNone {
		t.End, t.Looked = e, now.Sub(t.Started)
	}
}

// finished completes the trace of a query.
func (t *Trace) finished(q *query, res *Result) {
	t.Stats, t.Closest = res.Stats, res.Closest
	for i := range t.Steps {
		t.Steps[i].Value = q.valueOf(t.Steps[i].Peer.Key)
	}
}

// valueOf says what value a peer has answered with.
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

// newTrace begins the trace of a query, if they are wanted.
func (m *Machine) newTrace(now time.Time, q *query) *Trace {
	if !m.cfg.Trace {
		return nil
	}
	return &Trace{Query: q.id, Key: q.Key, Target: kad.KeyOf(q.Key), Started: now}
}

// endOf says why a lookup is done that nothing else has ended.
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
