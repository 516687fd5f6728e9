package dht

import (
	"errors"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
)

// candidates are the peers that wait to be probed, a bounded queue without duplicates,
// and a bounded memory of the peers that failed lately.
type candidates struct {
	queue   []candidate
	queued  map[kad.PeerID]struct{}
	failed  failedProbes
	pausing pausing
	dropped uint64 // because the queue was full
}

type candidate struct {
	peer     kad.Peer
	restored bool
}

// add queues a candidate; false if it is queued already or the queue is full.
func (c *candidates) add(x candidate) bool {
	if _, ok := c.queued[x.peer.ID]; ok {
		return false
	}
	if len(c.queue) >= MaxCandidates {
		c.dropped++
		return false
	}
	if c.queued == nil {
		c.queued = make(map[kad.PeerID]struct{})
	}
	c.queued[x.peer.ID] = struct{}{}
	c.queue = append(c.queue, x)
	return true
}

func (c *candidates) pop() (candidate, bool) {
	if len(c.queue) == 0 {
		return candidate{}, false
	}
	x := c.queue[0]
	c.queue = c.queue[1:]
	delete(c.queued, x.peer.ID)
	if len(c.queue) == 0 {
		c.queue, c.queued = nil, nil
	}
	return x, true
}

func (c *candidates) appendTo(dst []kad.Peer, n int) []kad.Peer {
	for i := 0; i < len(c.queue) && i < n; i++ {
		dst = append(dst, c.queue[i].peer)
	}
	return dst
}

// PeerFound makes a peer a candidate for the routing table. sure means that the caller
// knows that the peer serves the protocol (identify, a bootstrap list): after a failed
// probe it becomes a candidate again when FailedProbePause has passed. A peer that is not
// sure and failed a probe is ignored until FailedProbeMemory has passed.
func (m *Machine) PeerFound(now time.Time, p kad.Peer, sure bool) {
	if !m.table.Wants(p.Key) {
		return
	}
	if m.candidates.failed.has(p.ID, now, m.pause(sure)) || m.probing(p.ID) {
		if sure {
			m.candidates.pausing.add(p, now.Add(FailedProbePause))
		}
		return
	}
	if m.candidates.add(candidate{peer: p}) {
		m.probe(now)
	}
}

// endPauses makes candidates of the peers whose pause is over.
func (m *Machine) endPauses(now time.Time) {
	for {
		p, ok := m.candidates.pausing.pop(now)
		if !ok {
			return
		}
		m.PeerFound(now, p, true)
	}
}

// pause returns how long a peer that failed a probe is not probed again. While no peer
// is verified, peers that serve do not pause: the node's own link may have failed.
func (m *Machine) pause(sure bool) time.Duration {
	_, verified := m.table.Len()
	switch {
	case !sure:
		return FailedProbeMemory
	case verified == 0:
		return 0
	}
	return FailedProbePause
}

// PeerGone removes a peer that is known not to serve the protocol any more.
func (m *Machine) PeerGone(now time.Time, p kad.Peer) {
	m.evict(now, p)
	m.unblock(now)
}

// Restored starts the Machine with the peers of the last snapshot, if there is one. They
// become candidates, nearest first. No answer names them before they have answered.
func (m *Machine) Restored(now time.Time, peers []kad.Peer) {
	peers = slices.Clone(peers)
	self := &m.cfg.Self.Key
	slices.SortStableFunc(peers, func(a, b kad.Peer) int { return kad.CompareDistance(self, &a.Key, &b.Key) })
	for _, p := range peers {
		if p.Key != *self && m.candidates.add(candidate{peer: p, restored: true}) {
			m.upkeep.restoring++
		}
	}
	m.schedule.Spread(now)
	if m.upkeep.restoring > 0 {
		m.restoredOnly(now)
	}
	m.startUpkeep(now)
	m.probe(now)
}

// probe sends probes to doubted peers, then to candidates, as long as places are free.
func (m *Machine) probe(now time.Time) {
	m.probeDoubted(now)
	for m.room(forCandidate) {
		c, ok := m.candidates.pop()
		if !ok {
			return
		}
		if e, ok := m.table.Lookup(c.peer.Key); ok && e.Verified {
			m.restoredOne(c.restored)
			continue
		}
		m.sendProbe(now, c, forCandidate)
	}
}

// probing reports whether a probe of the peer is in flight.
func (m *Machine) probing(id kad.PeerID) bool {
	return m.probes() > 0 && slices.ContainsFunc(m.requests.list, func(r numbered[RequestID, request]) bool {
		return r.x.role == RoleProbe && r.x.to.ID == id
	})
}

// sendProbe asks a peer for this node's neighbourhood, the cheapest request that every
// implementation answers.
func (m *Machine) sendProbe(now time.Time, c candidate, p purpose) {
	if m.probing(c.peer.ID) {
		m.restoredOne(c.restored)
		return
	}
	r := &request{role: RoleProbe, purpose: p, to: c.peer, restored: c.restored}
	m.send(now, r, m.probeMsg)
	m.table.Probing(c.peer.Key, now)
}

// probed handles the end of a probe.
func (m *Machine) probed(r *request, ok bool) {
	m.cfg.Observer.Probed(ok, r.restored)
	m.restoredOne(r.restored)
}

func (m *Machine) probeFailed(now time.Time, r *request, err error) {
	m.candidates.failed.add(r.to, now)
	switch {
	case errors.Is(err, ErrNotServer):
		m.evict(now, r.to)
	case m.table.Has(r.to.Key):
		_, before := m.table.Len()
		promoted, evicted := m.table.Failed(r.to.Key, now)
		if evicted {
			m.evicted(promoted)
		}
		m.silent(now, before)
	case r.sent.Before(m.isolation.back): // during an outage, so the peer may well answer
		m.probeAgain(r.to)
	}
	m.probed(r, false)
}

// probeAgain makes a candidate of a peer that failed a probe during an outage.
func (m *Machine) probeAgain(p kad.Peer) {
	m.candidates.failed.pardon(p.ID)
	m.candidates.add(candidate{peer: p})
}

// suspect handles a peer that failed a request: a client leaves the table, a silent
// server is probed.
func (m *Machine) suspect(now time.Time, p kad.Peer, err error) {
	if errors.Is(err, ErrNotServer) {
		m.evict(now, p)
		return
	}
	if m.table.Has(p.Key) && m.room(forSuspect) {
		m.sendProbe(now, candidate{peer: p}, forSuspect)
	}
}

// evict removes a peer from the table in any state.
func (m *Machine) evict(now time.Time, p kad.Peer) {
	_, before := m.table.Len()
	if promoted, removed := m.table.Remove(p.Key); removed {
		m.evicted(promoted)
	}
	m.left(now, before)
}

// evicted reports an eviction and probes the promoted replacement.
func (m *Machine) evicted(promoted kad.Peer) {
	m.cfg.Observer.TableChanged(PeerEvicted)
	if promoted.ID == "" {
		return
	}
	m.cfg.Observer.TableChanged(PeerPromoted)
	m.candidates.add(candidate{peer: promoted})
}

// verified adds a peer that has just answered to the table.
func (m *Machine) verified(now time.Time, p kad.Peer, g kbucket.Group) {
	m.candidates.failed.pardon(p.ID)
	m.signOfLife(now)
	_, before := m.table.Len()
	switch m.table.Add(p, g, now) {
	case kbucket.Added:
		m.grown(now)
		m.cfg.Observer.TableChanged(PeerAdded)
	case kbucket.Cached:
		m.cfg.Observer.TableChanged(PeerCached)
	case kbucket.Rejected:
		m.cfg.Observer.TableChanged(PeerRejected)
	}
	if before == 0 {
		m.joined(now)
	}
}
