package dht

import (
	"errors"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/lookup"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

// Machine is the client side of the protocol: queries, probes, the routing table and
// its refresh, the schedule of published keys. Owned by one goroutine, its driver; the
// package's doc has the contract between the two.
//
// A query takes these steps:
//
//  1. Start, Loaded or the upkeep registers it. The nearest peers of the table seed its
//     lookup.
//  2. step sends a request to each peer that the lookup names next, as long as there is
//     room. A query without room waits in blocked, first come, first served.
//  3. Each answer or failure goes into the lookup, and step goes on.
//  4. lookupDone ends the lookup. A query that stores then sends its record to the
//     closest peers, under the same bound.
//  5. finish cancels what is still in flight and reports the Result.
//
// Between two calls of its methods:
//
//   - Every request in flight went through send, is in requests, and counts once for
//     its purpose; no purpose has more than its places.
//   - A query is in blocked at most once, and only while no place is free.
//   - Each query has a timer, so it ends even if nobody answers.
//   - A peer is verified, and named to others, only after it has answered this node.
type Machine struct {
	cfg      Config
	table    *kbucket.Table
	schedule *republish.Schedule
	size     sizeEstimate
	soft     softTimer

	out    Output
	timers timers
	wall   time.Time // of the last Tick, see checkClock

	lastQuery   QueryID
	lastRequest RequestID
	queries     underway[QueryID, query]
	requests    underway[RequestID, request]
	inFlight    [numPurposes]int // requests by purpose
	blocked     []QueryID        // queries that met MaxQueryRequests, in order
	refused     uint64           // queries that met MaxQueries

	paces    []*pace // of peers that limit us, bounded by MaxPacedPeers
	lastPace uint64

	candidates candidates
	spare      *lookup.Lookup // of the refresh that has just ended, for the next one
	probeMsg   *wire.Message  // what every probe asks

	upkeep     upkeep
	moreSilent bool // peers may be due for a liveness probe that had no place
	isolation  isolation
}

// New returns a Machine with an empty table. Call Restored once to start it.
func New(cfg Config) *Machine {
	cfg.setDefaults()
	cfg.Table.BucketSize = max(cfg.Table.BucketSize, cfg.Replicas)
	return &Machine{
		cfg:      cfg,
		table:    kbucket.New(cfg.Self.Key, cfg.Table),
		schedule: republish.New(cfg.Republish),
		probeMsg: &wire.Message{Type: wire.FindNode, Key: []byte(cfg.Self.ID)},
	}
}

// Table is the routing table, for reading by the Machine's owner.
func (m *Machine) Table() *kbucket.Table { return m.table }

// Schedule is the schedule of published keys, for reading by the Machine's owner.
func (m *Machine) Schedule() *republish.Schedule { return m.schedule }

// Queries returns how many queries run.
func (m *Machine) Queries() int { return m.queries.len() }

// Load says how far the Machine's bounds are used.
type Load struct {
	Queries    int // of MaxQueries
	Blocked    int // queries among them that wait for room for a request
	Requests   int // in flight, of MaxRequests
	Probes     int // requests among them, of MaxProbes, MaxSuspects and MaxLiveness together
	Candidates int // peers that wait for a probe, of MaxCandidates

	// Since the start.
	RefusedQueries    uint64 // MaxQueries was reached
	DroppedCandidates uint64 // MaxCandidates was reached
}

// Load returns how far the Machine's bounds are used.
func (m *Machine) Load() Load {
	return Load{
		Queries: m.queries.len(), Blocked: len(m.blocked), Requests: m.requests.len(),
		Probes: m.probes(), Candidates: len(m.candidates.queue),
		RefusedQueries: m.refused, DroppedCandidates: m.candidates.dropped,
	}
}

// LastRefresh returns when the last round of bucket refreshes ended.
func (m *Machine) LastRefresh() time.Time { return m.upkeep.lastRefresh }

// NetworkSize estimates the number of servers in the network from the distances
// of the closest peers that queries found; 0 while nothing is known.
func (m *Machine) NetworkSize() float64 { return m.size.estimate() }

// Start begins a query. Its end comes as a Result with the returned ID.
func (m *Machine) Start(now time.Time, q Query) (QueryID, error) {
	if m.queries.len() >= MaxQueries {
		m.refused++
		return 0, ErrBusy
	}
	x := m.newQuery(now, q)
	m.begin(now, x)
	return x.id, nil
}

// Cancel ends a query without a Result. Unknown IDs are ignored.
func (m *Machine) Cancel(now time.Time, id QueryID) {
	if q := m.queries.find(id); q != nil {
		q.silent = true
		q.trace.lookupDone(now, EndCancelled)
		m.finish(now, q, OutcomeCancelled)
		m.unblock(now)
	}
}

// Responded gives the answer to a request. Unknown IDs (late, cancelled,
// duplicate) are ignored.
func (m *Machine) Responded(now time.Time, id RequestID, resp Response) {
	r := m.ended(now, id, true)
	if r == nil {
		return
	}
	if resp.Message != nil || r.role == RoleProbe {
		m.verified(now, r.to, resp.Group)
	}
	switch r.role {
	case RoleProbe:
		m.probed(r, true)
	case RoleLookup:
		m.soft.answered(now.Sub(r.sent))
		m.answered(now, r, resp)
	case RoleStore:
		m.stored(now, r, &resp)
	}
	m.unblock(now)
}

// ended removes a request that has an answer or has failed, and returns it; nil for an
// unknown ID.
func (m *Machine) ended(now time.Time, id RequestID, ok bool) *request {
	r := m.requests.find(id)
	if r != nil {
		m.forget(r)
		m.cfg.Observer.RequestDone(r.role, ok, now.Sub(r.sent))
	}
	return r
}

// Found gives providers of an answer that is still arriving, ahead of Responded or
// Failed. Unknown IDs are ignored.
func (m *Machine) Found(now time.Time, id RequestID, providers []wire.Peer) {
	r := m.requests.find(id)
	if r == nil || r.query == nil || r.query.Kind != FindProviders {
		return
	}
	r.found += len(providers)
	if m.takeProviders(r.query, providers) {
		m.lookupDone(now, r.query, EndEnough)
		m.unblock(now)
	}
}

// Failed tells that a request failed. Unknown IDs are ignored.
func (m *Machine) Failed(now time.Time, id RequestID, err error) {
	r := m.ended(now, id, false)
	if r == nil {
		return
	}
	switch r.role {
	case RoleProbe:
		m.probeFailed(now, r, err)
	case RoleLookup:
		r.query.lastErr = err
		r.query.trace.failed(now, r, err)
		if errors.Is(err, ErrRefused) && !r.other {
			m.askOtherwise(now, r)
			break
		}
		r.query.lookup.Failed(r.to.Key)
		m.suspect(now, r.to, err)
		m.step(now, r.query)
	case RoleStore:
		m.notStored(now, r, err)
	}
	m.unblock(now)
}

// Deadline returns when Tick must be called next.
func (m *Machine) Deadline() (time.Time, bool) {
	m.dropStale()
	at, _ := m.timers.next()
	for _, t := range []time.Time{m.upkeep.next(), m.scheduleDeadline(), m.isolationDeadline(), m.candidates.pausing.next()} {
		at = records.Earlier(at, t)
	}
	return at, !at.IsZero()
}

// Tick does what is due.
func (m *Machine) Tick(now time.Time) {
	m.checkClock(now)
	for {
		t, ok := m.timers.pop(now)
		if !ok {
			break
		}
		m.fire(now, t)
	}
	m.heartbeat(now)
	m.retryDue(now)
	m.endPauses(now)
	m.maintain(now)
	m.publishDue(now)
	m.unblock(now)
}

// Take returns what the driver must do since the last call and resets it.
func (m *Machine) Take() Output {
	out := m.out
	m.out = Output{}
	return out
}

func (m *Machine) fire(now time.Time, t timer) {
	switch t.kind {
	case timerSoft:
		if r := m.requests.find(RequestID(t.id)); r != nil && r.role == RoleLookup {
			r.query.lookup.Slow(r.to.Key)
			r.query.trace.slow(now, r)
			m.timers.push(timer{at: r.sent.Add(LateTimeout), kind: timerLate, id: t.id})
			m.step(now, r.query)
		}
	case timerLate:
		if r := m.requests.find(RequestID(t.id)); r != nil {
			m.late(now, r)
		}
	case timerPace:
		if p := m.paceByID(t.id); p != nil {
			m.paced(now, p)
		}
	case timerQuery:
		if q := m.queries.find(QueryID(t.id)); q != nil {
			m.expireQuery(now, q)
		}
	}
}

// late ends the waiting for a slow peer once anybody else has answered; its own
// answer still counts while the lookup lasts. With none at all the link may be slow.
func (m *Machine) late(now time.Time, r *request) {
	if r.query.lookup.Stats().Responded == 0 {
		m.timers.push(timer{at: now.Add(m.softTimeout()), kind: timerLate, id: uint64(r.id)})
		return
	}
	r.query.lookup.Failed(r.to.Key)
	m.step(now, r.query)
}

// purpose is what a request is for, and which of the bounds its place counts for.
type purpose uint8

const (
	forQuery     purpose = iota // a lookup or a store
	forCandidate                // a probe, as are the next two
	forSuspect
	forLiveness

	numPurposes = int(forLiveness) + 1
)

// places are the most requests in flight of each purpose.
var places = [numPurposes]int{forQuery: MaxQueryRequests, forCandidate: MaxProbes, forSuspect: MaxSuspects, forLiveness: MaxLiveness}

// request is one RPC in flight.
type request struct {
	id       RequestID
	role     Role
	purpose  purpose
	sent     time.Time
	to       kad.Peer
	query    *query        // nil for a probe, and for an announcement whose query is over
	restored bool          // a probe of a peer from the snapshot
	other    bool          // of a lookup: it asks query.other
	found    int           // providers that came ahead of the answer
	paced    *announcement // that has waited for its peer
	step     int           // its place in the query's trace, from 1; 0: not traced
}

// send puts a request into the output: every request goes through here. The caller
// has checked room.
func (m *Machine) send(now time.Time, r *request, msg *wire.Message) {
	if !m.room(r.purpose) {
		panic("dht: no room for a request")
	}
	m.inFlight[r.purpose]++
	m.lastRequest++
	r.id, r.sent = m.lastRequest, now
	m.requests.add(r.id, r)
	var query QueryID
	if r.query != nil {
		r.query.requests = append(r.query.requests, r.id)
		query = r.query.id
		r.query.trace.sent(now, r)
	}
	m.out.Send = append(m.out.Send, Send{
		ID: r.id, Query: query, To: r.to, Message: msg,
		Deadline: now.Add(m.cfg.RequestTimeout),
		NoReply:  msg.Type == wire.AddProvider,
	})
	if r.role == RoleLookup {
		m.timers.push(timer{at: now.Add(m.softTimeout()), kind: timerSoft, id: uint64(r.id)})
	}
}

func (m *Machine) softTimeout() time.Duration { return m.soft.timeout(m.cfg.SoftTimeout) }

// room reports whether another request of that purpose may be in flight.
func (m *Machine) room(p purpose) bool { return m.inFlight[p] < places[p] }

// probes returns how many probes are in flight.
func (m *Machine) probes() int {
	return m.inFlight[forCandidate] + m.inFlight[forSuspect] + m.inFlight[forLiveness]
}

// remove takes a request out of those in flight.
func (m *Machine) remove(r *request) {
	m.requests.remove(r.id)
	m.inFlight[r.purpose]--
}

// forget removes a request that ended.
func (m *Machine) forget(r *request) {
	m.remove(r)
	if r.query == nil {
		return
	}
	for i, id := range r.query.requests {
		if id == r.id {
			last := len(r.query.requests) - 1
			r.query.requests[i] = r.query.requests[last]
			r.query.requests = r.query.requests[:last]
			return
		}
	}
}

// unblock gives places that came free to those who wait for one: queries, candidates
// and silent peers.
func (m *Machine) unblock(now time.Time) {
	for len(m.blocked) > 0 && m.room(forQuery) {
		q := m.queries.find(m.blocked[0])
		m.blocked = m.blocked[1:]
		q.blocked = false
		if q.storing {
			m.storeMore(now, q)
		} else {
			m.step(now, q)
		}
	}
	m.probe(now)
	if m.moreSilent && m.room(forLiveness) {
		m.probeSilent(now)
	}
}

// block remembers a query that met MaxQueryRequests.
func (m *Machine) block(q *query) {
	if !q.blocked {
		q.blocked = true
		m.blocked = append(m.blocked, q.id)
	}
}

// dropBlocked forgets a query that has ended.
func (m *Machine) dropBlocked(q *query) {
	if q.blocked {
		q.blocked = false
		m.blocked = slices.DeleteFunc(m.blocked, func(id QueryID) bool { return id == q.id })
	}
}

// seedFactor is how many times k peers of our own table seed a lookup: when many of
// the nearest have died at once, everybody's answers name the same dead ones.
const seedFactor = 2

// seeds appends the peers a lookup begins with: the nearest verified ones, then,
// while the table is poor, candidates.
func (m *Machine) seeds(dst []kad.Peer, target kad.Key) []kad.Peer {
	dst = m.table.Nearest(dst, target, seedFactor*m.cfg.Replicas)
	if len(dst) < m.cfg.Alpha {
		dst = m.candidates.appendTo(dst, m.cfg.Replicas-len(dst))
	}
	return dst
}

// lookupConfig lets a lookup that wants all of the k nearest, not just the nearest
// of them, end when they have answered.
func (m *Machine) lookupConfig(q *query) lookup.Config {
	c := lookup.Config{K: m.cfg.Replicas, Alpha: m.cfg.Alpha, MaxAlpha: m.cfg.MaxAlpha, Beta: m.cfg.Beta}
	switch q.Kind {
	case FindClosest, StoreValue, StoreProvider:
		c.Beta = m.cfg.StoreBeta
	case Refresh:
		if string(q.Key) == string(m.cfg.Self.ID) {
			c.Beta = m.cfg.StoreBeta
		} else {
			c.Alpha, c.MaxAlpha = m.cfg.RefreshAlpha, max(m.cfg.RefreshAlpha, m.cfg.Alpha)
		}
	}
	return c
}
