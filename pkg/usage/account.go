package usage

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

const (
	// MaxPeers bounds the peers that are told apart: about 250 bytes each.
	MaxPeers = 4096
	// shards is how many locks share the peers, so that requests served at once
	// seldom meet.
	shards = 64
	// NumTypes counts the types of requests and, at the end, the unknown.
	NumTypes = wire.NumTypes + 1
)

// Account counts what peers cost. Safe for concurrent use.
type Account struct {
	seed   maphash.Seed
	now    func() time.Time
	others counters // of peers that had to make room
	shards [shards]shard
}

var _ rpc.Observer = (*Account)(nil)

// shard holds a part of the peers.
type shard struct {
	mu    sync.RWMutex // write: for a change of peers; read: while one is counted
	peers map[peer.ID]*entry
	ring  []*entry // all of peers, for the hand
	hand  int      // of the clock that chooses who goes

	_ [64]byte // keeps the locks of two shards off one cache line
}

// entry is one peer.
type entry struct {
	id   peer.ID
	used atomic.Bool // since the hand came by
	counters
}

// New returns an empty account.
func New() *Account {
	a := &Account{seed: maphash.MakeSeed(), now: time.Now}
	for i := range a.shards {
		a.shards[i].peers = make(map[peer.ID]*entry)
	}
	return a
}

// Outbound implements rpc.Observer: what we ask of others is no cost of theirs.
func (a *Account) Outbound(rpc.Stats) {}

// Inbound implements rpc.Observer.
func (a *Account) Inbound(s rpc.Stats) {
	now := s.At
	if now.IsZero() {
		now = a.now()
	}
	sh := &a.shards[maphash.String(a.seed, string(s.Peer))%shards]
	sh.mu.RLock()
	e, ok := sh.peers[s.Peer]
	if ok {
		e.note(&s, now)
		sh.mu.RUnlock()
		return
	}
	sh.mu.RUnlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	a.newcomer(sh, s.Peer).count(&s, now) // not yet used: who comes but once goes first
}

func (e *entry) note(s *rpc.Stats, now time.Time) {
	if !e.used.Load() { // a write each time would make the line bounce
		e.used.Store(true)
	}
	e.count(s, now)
}

// newcomer returns the entry of a peer, made now if it has none. sh.mu is held.
func (a *Account) newcomer(sh *shard, id peer.ID) *entry {
	if e, ok := sh.peers[id]; ok {
		return e
	}
	e := &entry{id: id}
	sh.peers[id] = e
	if len(sh.ring) < MaxPeers/shards {
		sh.ring = append(sh.ring, e)
		return e
	}
	at := sh.leastUsed()
	old := sh.ring[at]
	delete(sh.peers, old.id)
	a.others.merge(&old.counters)
	sh.ring[at] = e
	return e
}

// leastUsed returns the place of a peer that was not used since the hand last came
// by (the clock algorithm: near to LRU, without a list to keep on each request).
func (sh *shard) leastUsed() int {
	for {
		at := sh.hand
		sh.hand = (sh.hand + 1) % len(sh.ring)
		if !sh.ring[at].used.Swap(false) {
			return at
		}
	}
}
