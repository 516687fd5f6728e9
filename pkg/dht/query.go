package dht

import (
	"bytes"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/lookup"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// query is a running Query.
type query struct {
	Query
	id       QueryID
	started  time.Time
	lookup   *lookup.Lookup // nil for Correct, and when the query is over but announcements wait
	msg      *wire.Message  // the request of the lookup
	other    *wire.Message  // the request for a peer that refused msg; see askOtherwise
	requests []RequestID    // in flight
	blocked  bool           // waits in Machine.blocked
	silent   bool           // no Result wanted
	loaded   bool           // started by the schedule, not by a caller
	storing  bool           // the lookup is over, records are being sent
	over     bool           // finished
	lastErr  error
	trace    *Trace // nil: no trace

	// FindValue
	best records.Value
	held []holding

	providers   reported // FindProviders
	whereabouts          // FindPeer

	// StoreValue, StoreProvider, Correct
	targets  []kad.Peer
	storeMsg *wire.Message
	sent     int
	storedAt int
	paced    int // announcements that wait for peers that limit them

	after func(now time.Time, o QueryOutcome) // called at the end; nil: nothing
}

// expirySlack is how far the expiries of copies of one publication may differ: lifetimes
// are sent in whole seconds.
const expirySlack = 2 * time.Second

// holding is the value a peer answered to GET_VALUE.
type holding struct {
	peer  kad.Key
	value []byte
}

var lookupTypes = [NumQueryKinds]wire.Type{
	FindClosest: wire.FindNode, FindPeer: wire.FindNode, Refresh: wire.FindNode,
	StoreValue: wire.FindNode, StoreProvider: wire.FindNode,
	FindProviders: wire.GetProviders, FindValue: wire.GetValue,
}

// newQuery registers a query; begin starts it.
func (m *Machine) newQuery(now time.Time, spec Query) *query {
	m.lastQuery++
	q := &query{Query: spec, id: m.lastQuery, started: now}
	q.trace = m.newTrace(now, q)
	m.queries.add(q.id, q)
	m.cfg.Observer.QueryStarted(spec.Kind)
	timeout := QueryTimeout
	if spec.Kind == Refresh {
		timeout = RefreshTimeout
	}
	m.limitTime(now, q, timeout)
	return q
}

// begin starts the lookup of a query. The query may have ended when it returns.
func (m *Machine) begin(now time.Time, q *query) {
	target := kad.KeyOf(q.Key)
	var scratch [seedFactor * Replicas]kad.Peer
	seeds := m.seeds(scratch[:0], target)
	q.lookup, m.spare = m.spare, nil
	if q.lookup == nil {
		q.lookup = new(lookup.Lookup)
	}
	q.lookup.Restart(target, m.lookupConfig(q), seeds)
	if q.trace != nil {
		q.trace.Seeds = len(seeds)
	}
	q.msg = &wire.Message{Type: lookupTypes[q.Kind], Key: q.Key}
	switch q.Kind {
	case FindProviders:
		q.lookup.Until(m.cfg.SearchBeta)
	case FindValue:
		m.startValue(q)
	}
	m.markRefreshed(now, target)
	m.step(now, q)
}

func (m *Machine) startValue(q *query) {
	if q.Count == 0 {
		q.Count = DefaultQuorum
	}
	if q.Value.Value != nil {
		q.best = q.Value
		q.held = append(q.held, holding{peer: m.cfg.Self.Key, value: q.Value.Value})
	} else {
		q.lookup.Until(m.cfg.SearchBeta)
	}
}

// markRefreshed records that a lookup towards target refreshes its bucket.
func (m *Machine) markRefreshed(now time.Time, target kad.Key) {
	if cpl := kad.CommonPrefixLen(&m.cfg.Self.Key, &target); cpl < kad.KeyBits {
		m.table.Refreshed(cpl, now)
	}
}

// step asks the peers that the lookup names next, and ends it when it is done.
func (m *Machine) step(now time.Time, q *query) {
	if q.storing || q.over {
		return
	}
	for {
		if !m.room(forQuery) {
			m.block(q)
			break
		}
		p, ok := q.lookup.Next()
		if !ok {
			break
		}
		m.send(now, &request{role: RoleLookup, to: p, query: q}, q.msg)
	}
	if q.lookup.Done() {
		m.lookupDone(now, q, m.endOf(q))
	}
}

// answered handles the answer of a peer that a lookup asked.
func (m *Machine) answered(now time.Time, r *request, resp Response) {
	q := r.query
	closer := m.askable(now, resp.Closer)
	if len(closer) > MaxCloser {
		closer = closer[:MaxCloser]
	}
	before := q.trace.known(q.lookup)
	q.lookup.Responded(r.to.Key, closer)
	q.trace.answered(now, r, &resp, before)
	if q.storing {
		return
	}
	enough := false
	switch q.Kind {
	case FindPeer:
		enough = q.takePeer(r.to, resp.Message)
	case FindProviders:
		enough = m.takeProviders(q, resp.Message.ProviderPeers)
	case FindValue:
		enough = m.takeValue(now, q, r.to.Key, resp.Message)
	}
	if enough {
		m.lookupDone(now, q, EndEnough)
		return
	}
	m.step(now, q)
}

// askable drops peers that have just failed a probe.
func (m *Machine) askable(now time.Time, closer []kad.Peer) []kad.Peer {
	bad := func(p kad.Peer) bool { return m.candidates.failed.has(p.ID, now, FailedProbePause) }
	if len(m.candidates.failed.last) == 0 || !slices.ContainsFunc(closer, bad) {
		return closer
	}
	return slices.DeleteFunc(slices.Clone(closer), bad)
}

func (m *Machine) takeValue(now time.Time, q *query, from kad.Key, msg *wire.Message) bool {
	if msg.Record == nil {
		return false
	}
	v := records.Value{
		Key: q.Key, Value: msg.Record.Value, Publisher: msg.Record.Publisher,
		Received: now, Expires: records.HeldExpiry(now, records.WireTTL(msg.Record.TTL), msg.Record.TimeReceived),
	}
	q.held = append(q.held, holding{peer: from, value: v.Value})
	q.lookup.Until(m.cfg.Beta)
	switch {
	case q.best.Value == nil, !bytes.Equal(q.best.Value, v.Value) && m.better(q.best, v):
		q.best = v
		m.out.Progress = append(m.out.Progress, Progress{Query: q.id, Value: v})
	case bytes.Equal(q.best.Value, v.Value) && v.Expires.After(q.best.Expires):
		q.best.Expires = v.Expires
	}
	return q.responders() >= q.Count
}

// better reports whether b replaces a as the best value found. If Select does not
// distinguish them, the value that expires later was published later.
func (m *Machine) better(a, b records.Value) bool {
	if m.cfg.Select(a.Key, a.Value, b.Value) {
		return true
	}
	return b.Expires.After(a.Expires.Add(expirySlack)) && !m.cfg.Select(a.Key, b.Value, a.Value)
}

// responders counts the peers that hold the best value.
func (q *query) responders() int {
	n := 0
	for _, h := range q.held {
		if bytes.Equal(h.value, q.best.Value) {
			n++
		}
	}
	return n
}

// expireQuery ends a query that has timed out, with the result so far.
func (m *Machine) expireQuery(now time.Time, q *query) {
	if q.storing {
		m.finish(now, q, q.outcome())
		return
	}
	m.lookupDone(now, q, EndTimeout)
	if !q.over { // it stores, and may wait for a place or for peers that limit announcements
		m.limitTime(now, q, QueryTimeout)
	}
}

// limitTime sets the timer that ends a query.
func (m *Machine) limitTime(now time.Time, q *query, after time.Duration) {
	m.timers.push(timer{at: now.Add(after), kind: timerQuery, id: uint64(q.id)})
}

// lookupDone is called once, when the lookup of a query is over.
func (m *Machine) lookupDone(now time.Time, q *query, e End) {
	q.trace.lookupDone(now, e)
	m.cancelRequests(now, q)
	switch q.Kind {
	case FindClosest:
		m.observeSize(q)
	case StoreValue, StoreProvider:
		q.storing = true
		m.store(now, q, m.observeSize(q))
		return
	}
	m.finish(now, q, q.outcome())
}

// observeSize learns the size of the network from the closest peers of a lookup
// that has asked all of them, and returns them.
func (m *Machine) observeSize(q *query) []kad.Peer {
	closest := q.lookup.Closest(nil)
	m.size.observe(q.lookup.Target(), closest, m.cfg.Replicas)
	return closest
}

// outcome returns the outcome of a query whose work is over.
func (q *query) outcome() QueryOutcome {
	var ok bool
	switch q.Kind {
	case FindPeer:
		ok = q.met || len(q.told) > 0
	case FindProviders:
		ok = len(q.providers.addrs) > 0
	case FindValue:
		ok = q.best.Value != nil
	case StoreValue, StoreProvider, Correct:
		if q.storedAt == 0 {
			return OutcomeFailed
		}
		return OutcomeOK
	default:
		ok = q.lookup.Stats().Responded > 0
		if !ok {
			return OutcomeFailed
		}
	}
	switch {
	case ok:
		return OutcomeOK
	case q.lookup.Stats().Responded == 0:
		return OutcomeFailed
	}
	return OutcomeNotFound
}

// cancelRequests cancels the requests that a query has in flight. A lookup does not wait
// for dead peers to fail. Its slow peers are suspected instead; otherwise a dead one
// would stay unnoticed until its next probe.
func (m *Machine) cancelRequests(now time.Time, q *query) {
	for _, id := range q.requests {
		r := m.requests.find(id)
		q.trace.cancelled(now, r)
		m.remove(r)
		m.out.Cancel = append(m.out.Cancel, id)
		if r.role == RoleLookup && now.Sub(r.sent) >= m.softTimeout() {
			m.suspect(now, r.to, nil)
		}
	}
	q.requests = nil
}

// finish removes a query and reports its end.
func (m *Machine) finish(now time.Time, q *query, o QueryOutcome) {
	m.cancelRequests(now, q)
	m.queries.remove(q.id)
	m.dropBlocked(q)
	q.over = true
	res := m.result(now, q, o)
	m.cfg.Observer.QueryDone(res.Stats)
	if q.trace != nil {
		q.trace.finished(q, &res)
		m.out.Traces = append(m.out.Traces, q.trace)
	}
	switch {
	case q.Publish == nil:
	case o == OutcomeCancelled && !q.loaded:
		m.takeOver(now, *q.Publish) // its caller gave up, which is not a failure
	default:
		m.publishDone(now, q, o)
	}
	if !q.silent {
		m.out.Done = append(m.out.Done, res)
	}
	if q.Kind == FindValue && o == OutcomeOK {
		m.correct(now, q, res.Closest)
	}
	if q.after != nil {
		q.after(now, o)
	}
	if q.paced > 0 { // waiting announcements keep the query in memory, for minutes
		q.lookup, q.trace = nil, nil
	}
}

// result returns what a query has found.
func (m *Machine) result(now time.Time, q *query, o QueryOutcome) Result {
	res := Result{Query: q.id, Stats: m.stats(now, q, o), Peer: q.peer()}
	if q.lookup != nil && (!q.silent || q.trace != nil) {
		res.Closest = q.lookup.Closest(nil)
	}
	if o == OutcomeFailed {
		res.Err = q.lastErr
	}
	if q.best.Value != nil {
		res.Value, res.Responders = q.best, q.responders()
	}
	return res
}

func (m *Machine) stats(now time.Time, q *query, o QueryOutcome) QueryStats {
	s := QueryStats{Kind: q.Kind, Outcome: o, Duration: now.Sub(q.started), StoredAt: q.storedAt, StoreSent: q.sent, Scheduled: q.Publish != nil}
	if q.lookup != nil {
		l := q.lookup.Stats()
		s.Hops, s.Asked, s.Responded, s.Failed = l.Hops, l.Asked, l.Responded, l.Failed
	}
	return s
}
