package dht

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
)

// Numbers of isolation detection. A node that loses its network knows within a minute,
// even if its connections stay open. HeartbeatInterval after the last sign of life it
// probes a few peers. They fail after RequestTimeout. Then it probes the others, and
// IsolatedAfter begins.
const (
	// HeartbeatInterval is how long all peers of the table may be silent, neither
	// answering nor asking, before some are probed. In a working network such silence
	// happens only among few peers.
	HeartbeatInterval = 20 * time.Second
	// HeartbeatPeers is how many peers are probed then: one of them may have left.
	HeartbeatPeers = 3
	// IsolatedAfter is how long a node must be without an answer to count as isolated.
	// It is long enough for a peer that restarts and for snapshot peers that answer late.
	IsolatedAfter = 10 * time.Second
	// IsolatedFailures is how many verified peers must fail in a row, without a sign of
	// life in between, to count as all of them: one round of probes.
	IsolatedFailures = MaxLiveness
	// IsolatedRetry is how often a node without answers tries to reach a peer. With the
	// time of one dial it finds a network that has come back within 15 s.
	IsolatedRetry = 5 * time.Second
)

// isolation tracks whether peers answer. An answer of any peer ends isolation.
type isolation struct {
	sign    time.Time // last sign of life: an answer, or a request of a table peer
	beat    time.Time // last heartbeat
	doubted bool      // verified peers are probed until there is a sign of life

	failed int       // verified peers that failed in a row
	first  time.Time // when the first of them did
	lost   time.Time // since when no peer answers; zero: a peer answers, or none ever did
	back   time.Time // when a peer last answered again after an outage; zero: there was none
	retry  time.Time // next attempt to reach a peer; zero: none
	turn   int       // index in the table where the next attempt begins
}

// Isolated returns since when no peer has answered this node. since is zero while a peer
// answers, and if the node never had a peer, verified or in its snapshot. isolated is
// true from IsolatedAfter on, and never with Config.First.
func (m *Machine) Isolated(now time.Time) (since time.Time, isolated bool) {
	since = m.isolation.lost
	return since, !m.cfg.First && !since.IsZero() && !now.Before(since.Add(IsolatedAfter))
}

// Doubt reports that the network may have gone or come back: an interface or an address
// of this machine has changed. The Machine probes verified peers until one answers. If
// no peer has answered for a while, it tries all peers again; a first node does so once.
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

// Alive reports when a peer of the table last sent a request, which is as good a sign of
// life as an answer. The time has a monotonic reading, as in every other call.
func (m *Machine) Alive(at time.Time) {
	if at.After(m.isolation.sign) {
		m.isolation.signed(at)
	}
}

func (i *isolation) signed(at time.Time) { i.sign, i.failed, i.doubted = at, 0, false }

// signOfLife records an answer. If no peer answered before, the others are probed too,
// because they are probably back: those of the table, and the candidates that failed during
// the outage, such as peers of the last snapshot.
func (m *Machine) signOfLife(now time.Time) {
	i := &m.isolation
	i.signed(now)
	if i.lost.IsZero() {
		return
	}
	failed := m.candidates.failed.since(i.lost)
	i.lost, i.retry, i.back = time.Time{}, time.Time{}, now
	for _, p := range m.peersWhere(func(e kbucket.Entry) bool { return !e.Verified }) {
		m.candidates.add(candidate{peer: p})
	}
	for _, p := range failed {
		m.probeAgain(p)
	}
}

// heartbeatAt returns when the next heartbeat is due; zero: never.
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

// heartbeat probes a few peers if it is due.
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

// isolationDeadline returns when isolation needs a Tick; zero: never.
func (m *Machine) isolationDeadline() time.Time {
	if at := m.heartbeatAt(); !at.IsZero() {
		return at
	}
	return m.isolation.retry
}

// restoredOnly records that all known peers come from a snapshot and none has answered.
func (m *Machine) restoredOnly(now time.Time) {
	m.isolation.lost = now
	m.wantRetry(now.Add(IsolatedRetry))
}

// wantRetry sets the next attempt. A first node that is alone waits for others instead.
func (m *Machine) wantRetry(at time.Time) {
	if !m.cfg.First {
		m.isolation.retry = at
	}
}

// silent records that a peer has failed; before is how many were verified until then. If
// there was no sign of life since a heartbeat, the others are doubted.
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

// left records that a peer has left the table because it no longer serves the protocol;
// before is how many were verified until then.
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

// retryDue tries to reach the bootstrap peers and the next peers of the table, as many
// as there are free places for candidates, if that is due.
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
