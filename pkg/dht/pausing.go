package dht

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// pausing holds peers that are known to serve and were found while their probe was in
// flight or had just failed, for example because they register their handler late. Each
// is found again when its pause ends, because no other peer may ever name it. The queue
// is bounded and has no duplicates.
type pausing struct {
	queue  []pause // by until
	queued map[kad.PeerID]struct{}
}

type pause struct {
	peer  kad.Peer
	until time.Time
}

// add queues a peer until the given time, unless it is queued already or MaxPausing
// others are.
func (p *pausing) add(x kad.Peer, until time.Time) {
	if _, ok := p.queued[x.ID]; ok || len(p.queue) >= MaxPausing {
		return
	}
	if p.queued == nil {
		p.queued = make(map[kad.PeerID]struct{})
	}
	p.queued[x.ID] = struct{}{}
	p.queue = append(p.queue, pause{peer: x, until: until})
}

// pop removes and returns the next peer whose pause is over. A pause that would last
// longer than FailedProbePause from now is over too: the clock was set back.
func (p *pausing) pop(now time.Time) (kad.Peer, bool) {
	if len(p.queue) == 0 {
		return kad.Peer{}, false
	}
	x := p.queue[0]
	if left := x.until.Sub(now); left > 0 && left <= FailedProbePause {
		return kad.Peer{}, false
	}
	p.queue = p.queue[1:]
	delete(p.queued, x.peer.ID)
	if len(p.queue) == 0 {
		p.queue, p.queued = nil, nil
	}
	return x.peer, true
}

// next returns when the first pause ends; zero if the queue is empty.
func (p *pausing) next() time.Time {
	if len(p.queue) == 0 {
		return time.Time{}
	}
	return p.queue[0].until
}
