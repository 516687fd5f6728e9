package dht

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// failedProbes remembers peers that failed a probe lately. It forgets each after
// FailedProbeMemory, and frees its memory when it is empty.
type failedProbes struct {
	last  map[kad.PeerID]time.Time
	order []failedProbe // oldest first; entries not in last were pardoned, or failed again since
	ends  uint64        // a bit per last byte of an ID: most lookups find nothing
}

// endBit returns the bit of failedProbes.ends for an ID.
func endBit(id kad.PeerID) uint64 {
	if id == "" {
		return 1
	}
	return 1 << (id[len(id)-1] % 64)
}

type failedProbe struct {
	peer kad.Peer
	at   time.Time
}

func (r *failedProbes) add(p kad.Peer, now time.Time) {
	r.expire(now)
	if len(r.order) >= MaxFailedProbes {
		r.drop()
	}
	if r.last == nil {
		r.last = make(map[kad.PeerID]time.Time)
	}
	r.last[p.ID] = now
	r.ends |= endBit(p.ID)
	r.order = append(r.order, failedProbe{peer: p, at: now})
}

// pardon removes a peer.
func (r *failedProbes) pardon(id kad.PeerID) {
	if r.ends&endBit(id) != 0 {
		delete(r.last, id)
	}
}

// has reports whether a peer failed its probe within the given time.
func (r *failedProbes) has(id kad.PeerID, now time.Time, ago time.Duration) bool {
	if r.ends&endBit(id) == 0 {
		return false
	}
	at, ok := r.last[id]
	return ok && now.Sub(at) < ago
}

// since returns the peers that failed at t or later, oldest failure first.
func (r *failedProbes) since(t time.Time) (peers []kad.Peer) {
	for _, x := range r.order {
		if at, ok := r.last[x.peer.ID]; ok && at.Equal(x.at) && !at.Before(t) {
			peers = append(peers, x.peer)
		}
	}
	return peers
}

// expire removes the peers that failed longer ago than FailedProbeMemory.
func (r *failedProbes) expire(now time.Time) {
	for len(r.order) > 0 && now.Sub(r.order[0].at) >= FailedProbeMemory {
		r.drop()
	}
}

// drop removes the oldest entry.
func (r *failedProbes) drop() {
	x := r.order[0]
	if r.last[x.peer.ID].Equal(x.at) {
		delete(r.last, x.peer.ID)
	}
	r.order = r.order[1:]
	if len(r.order) == 0 {
		r.last, r.order, r.ends = nil, nil, 0
	}
}
