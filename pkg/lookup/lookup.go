package lookup

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// state is what a lookup knows of a peer of its shortlist.
type state uint8

const (
	heard     state = iota // named by a peer or a seed, not asked
	waiting                // asked, holds one of alpha places
	slow                   // asked, lost its place, may still answer
	responded              // answered
	failed                 // did not answer; a late answer still counts

	numStates
)

// entry is a place in the shortlist. It has 16 bytes because it is searched and moved
// often; the peer itself does not move.
type entry struct {
	dist  uint64 // the first 8 bytes of its distance to target
	at    uint32 // index into Lookup.peers
	hop   uint16 // answers that led to it; 0 for a seed
	state state
}

// Lookup is one iterative lookup. It is owned by one goroutine.
type Lookup struct {
	target    kad.Key
	tag       uint64 // the first 8 bytes of target
	cfg       Config
	list      []entry    // shortlist, by ascending distance to target
	peers     []kad.Peer // those of list, in order of discovery
	alpha     int        // peers asked at once: Alpha, up to MaxAlpha after stalls
	until     int        // how many of the nearest must have responded at the end, see Until
	count     [numStates]int
	everHeard int // peers heard of, seeds included
	asked     int
}

// New returns a lookup of the peers nearest to target, starting at seeds. The
// caller leaves its own node out of the seeds and of all closer peers.
func New(target kad.Key, cfg Config, seeds []kad.Peer) *Lookup {
	l := new(Lookup)
	l.Restart(target, cfg, seeds)
	return l
}

// Restart makes l a new lookup and reuses its memory.
func (l *Lookup) Restart(target kad.Key, cfg Config, seeds []kad.Peer) {
	*l = Lookup{target: target, tag: tagOf(&target), cfg: cfg.withDefaults(), list: l.list[:0], peers: l.peers[:0]}
	l.alpha, l.until = l.cfg.Alpha, l.cfg.Beta
	if room := min(len(seeds)+2*l.cfg.K, l.cfg.MaxPeers); cap(l.peers) < room {
		l.list, l.peers = make([]entry, 0, room), make([]kad.Peer, 0, room)
	}
	next := 0
	for i := range seeds {
		next, _ = l.hear(&seeds[i], 0, next)
	}
}

// Until changes how many of the nearest peers must have responded at the end: at least
// Beta, at most K. A search that has found nothing yet looks farther.
func (l *Lookup) Until(n int) { l.until = min(max(n, l.cfg.Beta), l.cfg.K) }

// Target returns the key whose nearest peers are sought.
func (l *Lookup) Target() kad.Key { return l.target }

// Next returns the next peer to ask and marks it as waiting: the nearest peer not asked
// yet, if it is among the K nearest that are neither failed nor slow. Places beyond
// Alpha are only for the Beta nearest, because their answers end the lookup. False
// means that an outcome must be reported first, or that the lookup is done.
func (l *Lookup) Next() (kad.Peer, bool) {
	if l.count[waiting] >= l.alpha || l.Done() {
		return kad.Peer{}, false
	}
	nearer := 0
	for i := range l.list {
		switch c := &l.list[i]; c.state {
		case heard:
			if nearer >= l.cfg.Beta && l.count[waiting] >= l.cfg.Alpha {
				return kad.Peer{}, false
			}
			l.set(c, waiting)
			l.asked++
			return l.peers[c.at], true
		case waiting, responded:
			if nearer++; nearer >= l.cfg.K {
				return kad.Peer{}, false
			}
		}
	}
	return kad.Peer{}, false
}

// Responded records the answer of an asked peer and the closer peers it named.
// Late answers of slow and failed peers count. A second answer, or one from a peer
// that was never asked, is ignored.
func (l *Lookup) Responded(from kad.Key, closer []kad.Peer) {
	c := l.find(&from)
	if c == nil || c.state == heard || c.state == responded {
		return
	}
	l.set(c, responded)
	hop := c.hop
	if hop < math.MaxUint16 {
		hop++
	}
	progress := false
	next := 0
	for i := range closer {
		var fresh bool
		next, fresh = l.hear(&closer[i], hop, next)
		progress = progress || fresh && l.amongNearest(next-1)
	}
	if progress {
		l.alpha = l.cfg.Alpha
	} else {
		l.stalled()
	}
}

// Slow records that a waiting peer takes too long. Its place becomes free; a late
// answer still counts.
func (l *Lookup) Slow(from kad.Key) {
	if c := l.find(&from); c != nil && c.state == waiting {
		l.set(c, slow)
		l.stalled()
	}
}

// Failed records that an asked peer did not answer.
func (l *Lookup) Failed(from kad.Key) {
	if c := l.find(&from); c != nil && (c.state == waiting || c.state == slow) {
		l.set(c, failed)
		l.stalled()
	}
}

// Done reports whether the lookup is over: the Beta nearest peers (see Until) that
// are neither failed nor slow have all responded. If there are fewer of them, it is
// over when all have responded and no slow one can add to them.
func (l *Lookup) Done() bool {
	n := 0
	for i := range l.list {
		switch l.list[i].state {
		case heard, waiting:
			return false
		case responded:
			if n++; n == l.until {
				return true
			}
		}
	}
	return l.count[slow] == 0
}

// Closest appends the up to K nearest peers that responded, nearest first.
func (l *Lookup) Closest(dst []kad.Peer) []kad.Peer {
	limit := len(dst) + l.cfg.K
	for i := range l.list {
		if len(dst) == limit {
			break
		}
		if l.list[i].state == responded {
			dst = append(dst, l.peers[l.list[i].at])
		}
	}
	return dst
}

// Stats counts the peers of a lookup.
type Stats struct {
	Heard     int // all peers heard of, seeds included
	Asked     int // all peers asked
	Responded int
	Failed    int
	Slow      int // still slow
	Waiting   int
	Hops      int // longest chain of answers that led to one of Closest
}

// Stats counts the peers by state.
func (l *Lookup) Stats() Stats {
	s := Stats{
		Heard: l.everHeard, Asked: l.asked, Responded: l.count[responded],
		Failed: l.count[failed], Slow: l.count[slow], Waiting: l.count[waiting],
	}
	n := 0
	for i := range l.list {
		if n == l.cfg.K {
			break
		}
		if c := &l.list[i]; c.state == responded {
			s.Hops = max(s.Hops, int(c.hop))
			n++
		}
	}
	return s
}

// Hop returns how many answers led to k: 0 for a seed, -1 for an unknown peer.
func (l *Lookup) Hop(k kad.Key) int {
	if c := l.find(&k); c != nil {
		return int(c.hop)
	}
	return -1
}

// stalled raises alpha by one, because the last event brought no progress.
func (l *Lookup) stalled() { l.alpha = min(l.alpha+1, l.cfg.MaxAlpha) }

func (l *Lookup) set(c *entry, s state) {
	l.count[c.state]--
	c.state = s
	l.count[s]++
}

// tagOf returns the first 8 bytes of a key as a number.
func tagOf(k *kad.Key) uint64 { return binary.BigEndian.Uint64(k[:8]) }

// search returns the index of k in the shortlist, or the index to insert it at. It is
// fastest if all entries before from are nearer, as they are when peers come in order.
func (l *Lookup) search(k *kad.Key, from int) (int, bool) {
	dist := tagOf(k) ^ l.tag
	lo, hi := 0, len(l.list)
	if from > 0 && from <= hi && l.list[from-1].dist < dist {
		if lo = from; lo == hi || l.list[lo].dist > dist {
			return lo, false
		}
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		c := &l.list[mid]
		nearer := c.dist < dist
		if c.dist == dist {
			known := &l.peers[c.at].Key
			if *known == *k {
				return mid, true
			}
			nearer = kad.CompareDistance(&l.target, known, k) < 0
		}
		if nearer {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, false
}

func (l *Lookup) find(k *kad.Key) *entry {
	if i, ok := l.search(k, 0); ok {
		return &l.list[i]
	}
	return nil
}

// hear adds a new peer to the shortlist and returns the index after it. from is a hint
// for search: the index after the peer before it in an answer.
func (l *Lookup) hear(p *kad.Peer, hop uint16, from int) (next int, fresh bool) {
	at, known := l.search(&p.Key, from)
	if known {
		return at + 1, false
	}
	c := entry{dist: tagOf(&p.Key) ^ l.tag, at: uint32(len(l.peers)), hop: hop}
	if len(l.list) >= l.cfg.MaxPeers {
		drop := l.farthestHeard()
		if drop < at { // or -1: none
			return at, false
		}
		l.count[heard]--
		c.at = l.list[drop].at
		l.list = slices.Delete(l.list, drop, drop+1)
		l.peers[c.at] = *p
	} else {
		l.peers = append(l.peers, *p)
	}
	l.list = slices.Insert(l.list, at, c)
	l.count[heard]++
	l.everHeard++
	return at + 1, true
}

// farthestHeard returns the index of the farthest peer not asked yet, or -1. Only such
// peers may be dropped.
func (l *Lookup) farthestHeard() int {
	for i := len(l.list) - 1; i >= 0; i-- {
		if l.list[i].state == heard {
			return i
		}
	}
	return -1
}

// amongNearest reports whether fewer than K peers that have not failed are nearer than
// entry i.
func (l *Lookup) amongNearest(i int) bool {
	nearer := 0
	for j := range l.list[:i] {
		if l.list[j].state != failed {
			nearer++
		}
		if nearer >= l.cfg.K {
			return false
		}
	}
	return true
}
