package dht

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
)

// Numbers of the detection of isolation. A node that loses its network knows within a
// minute, whatever becomes of its connections: HeartbeatInterval after the last sign
// of life it probes a few peers. RequestTimeout later they have failed, it probes the
// others, and IsolatedAfter begins.
const (
	// HeartbeatInterval is how long the peers of the table may neither answer nor ask
	// anything before some are probed. While the network works, such silence happens
	// only among few peers.
	HeartbeatInterval = 20 * time.Second
	// HeartbeatPeers is how many are probed then: one may have left.
	HeartbeatPeers = 3
	// IsolatedAfter is how long nobody has answered when a node counts as isolated. A
	// peer that restarts, or a snapshot whose peers answer late, does not isolate it.
	IsolatedAfter = 10 * time.Second
	// IsolatedFailures is how many verified peers must fail in a row, with no sign of
	// life in between, to count as all of them: a round of probes.
	IsolatedFailures = MaxLiveness
	// IsolatedRetry is how often a node that nobody answers tries to reach somebody.
	// With the time of one dial it stays under the 15 s in which a network that has
	// come back must be found.
	IsolatedRetry = 5 * time.Second
)

// isolation is what a Machine knows of whether peers answer. An answer of any peer
// ends it.
type isolation struct {
	sign    time.Time // last answer, or request of a peer of the table
	beat    time.Time // last heartbeat
	doubted bool      // verified peers are probed until there is a sign of life

	failed int       // verified peers that failed in a row
	first  time.Time // when the first of them did
	lost   time.Time // zero: somebody answers, or nobody ever did
	retry  time.Time // next attempt to reach somebody; zero: not wanted
	turn   int       // place in the table where the next attempt begins
}

// Isolated reports since when nobody has answered this node, zero while somebody does
// or if it never had peers, verified or in its snapshot. isolated is true from
// IsolatedAfter on, and never with Config.First.
func (m *Machine) Isolated(now time.Time) (since time.Time, isolated bool) {
	since = m.isolation.lost
	return since, !m.cfg.First && !since.IsZero() && !now.Before(since.Add(IsolatedAfter))
}

// Doubt tells that the network may have gone, or come back: an interface or an
// address of this machine has changed. Verified peers are probed until one answers;
// if nobody has answered for a while, all are tried again, by a first node once.
func (m *Machine) Doubt(now time.Time) {
	i := &m.isolation
	if !i.lost.IsZero() {
		i.retry = now
		m.retryDue(now)
		return
	}
	i.doubted = true
	m.probe(now)
}

// Alive tells when a peer of the table last asked something. That is a sign of life as
// good as an answer. The time has a monotonic reading, as that of every other call.
func (m *Machine) Alive(at time.Time) {
	if at.After(m.isolation.sign) {
		m.isolation.signed(at)
	}
}

func (i *isolation) signed(at time.Time) { i.sign, i.failed, i.doubted = at, 0, false }

// signOfLife notes an answer. If nobody answered before, the others are asked too: they are
// likely to be back.
func (m *Machine) signOfLife(now time.Time) {
	i := &m.isolation
	i.signed(now)
	if i.lost.IsZero() {
		return
	}
	i.lost, i.retry = time.Time{}, time.Time{}
	for _, p := range m.peersWhere(func(e kbucket.Entry) bool { return !e.Verified }) {
		m.candidates.add(candidate{peer: p})
	}
}

// heartbeatAt is when the next heartbeat is due; zero: never.
func (m *Machine) heartbeatAt() time.Time {
	i := &m.isolation
	if _, verified := m.table.Len(); !m.cfg.Heartbeat || verified == 0 || !i.lost.IsZero() {
		return time.Time{}
	}
	last := i.sign
	if i.beat.After(last) {
		last = i.beat
	}
	return last.Add(HeartbeatInterval)
}

// heartbeat asks a few peers whether they are there, if that is due.
func (m *Machine) heartbeat(now time.Time) {
	if at := m.heartbeatAt(); at.IsZero() || at.After(now) {
		return
	}
	m.isolation.beat = now
	for n, p := range m.peersWhere(func(e kbucket.Entry) bool { return e.Verified }) {
		if n == HeartbeatPeers || !m.room(forLiveness) {
			return
		}
		m.sendProbe(now, candidate{peer: p}, forLiveness)
	}
}

// isolationDeadline is when isolation wants a Tick; zero: never.
func (m *Machine) isolationDeadline() time.Time {
	if at := m.heartbeatAt(); !at.IsZero() {
		return at
	}
	return m.isolation.retry
}

// restoredOnly notes that all known peers come from a snapshot: none has answered yet.
func (m *Machine) restoredOnly(now time.Time) {
	m.isolation.lost = now
	m.wantRetry(now.Add(IsolatedRetry))
}

// wantRetry sets the next attempt. A first node that is alone waits for others.
func (m *Machine) wantRetry(at time.Time) {
	if !m.cfg.First {
		m.isolation.retry = at
	}
}

// silent notes that a peer has failed; before is how many were verified. If there was
// no sign of life since a heartbeat, that casts doubt on the others.
func (m *Machine) silent(now time.Time, before int) {
	_, verified := m.table.Len()
	i := &m.isolation
	if verified >= before || !i.lost.IsZero() {
		return
	}
	if i.failed == 0 {
		i.first = now
	}
	i.failed++
	i.doubted = i.doubted || i.beat.After(i.sign)
	if verified == 0 || i.failed >= IsolatedFailures {
		i.lost = i.first
		m.wantRetry(now)
	}
}

// left notes that a peer that no longer serves the protocol has left the table; before
// is how many were verified.
func (m *Machine) left(now time.Time, before int) {
	if _, verified := m.table.Len(); verified < before && verified == 0 && m.isolation.lost.IsZero() {
		m.isolation.lost = now
		m.wantRetry(now)
	}
}

// probeDoubted probes verified peers while they are doubted.
func (m *Machine) probeDoubted(now time.Time) {
	if !m.isolation.doubted {
		return
	}
	for _, p := range m.peersWhere(func(e kbucket.Entry) bool { return e.Verified && !m.probing(e.Peer.ID) }) {
		if !m.room(forLiveness) {
			return
		}
		m.sendProbe(now, candidate{peer: p}, forLiveness)
	}
}

// retryDue tries, if that is due, to reach the bootstrap peers and the next peers of
// the table, as many as there are places for candidates.
func (m *Machine) retryDue(now time.Time) {
	i := &m.isolation
	if !due(&i.retry, now, IsolatedRetry) {
		return
	}
	if m.cfg.First {
		i.retry = time.Time{}
	}
	m.out.Retry = true
	all := m.peersWhere(func(kbucket.Entry) bool { return true })
	for range all {
		if !m.room(forCandidate) {
			return
		}
		i.turn = (i.turn + 1) % len(all)
		m.sendProbe(now, candidate{peer: all[i.turn]}, forCandidate)
	}
}

// peersWhere returns the peers of the table that satisfy want.
func (m *Machine) peersWhere(want func(kbucket.Entry) bool) []kad.Peer {
	var out []kad.Peer
	for e := range m.table.Entries {
		if want(e) {
			out = append(out, e.Peer)
		}
	}
	return out
}
