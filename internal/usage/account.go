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
	// maxPeers bounds the peers that are counted separately, at about 250 bytes each.
	maxPeers = 4096
	// shards is how many locks divide the peers, so that concurrent requests rarely
	// contend.
	shards = 64
	// NumTypes is the number of request types, plus one for unknown types at the end.
	NumTypes = wire.NumTypes + 1
)

// Account counts what peers cost. Safe for concurrent use.
type Account struct {
	seed   maphash.Seed
	now    func() time.Time
	others counters // of peers that were evicted
	shards [shards]shard
}

var _ rpc.Observer = (*Account)(nil)

// shard holds a part of the peers.
type shard struct {
	mu    sync.RWMutex // write lock: to change peers; read lock: to count a request
	peers map[peer.ID]*entry
	ring  []*entry // all of peers, in the order of the hand
	hand  int      // of the clock that chooses the peer to evict

	_ [64]byte // keeps the locks of two shards in different cache lines
}

// entry is one peer.
type entry struct {
	id   peer.ID
	used atomic.Bool // since the hand last passed
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

// Outbound implements rpc.Observer. It does nothing, because our own requests are not a
// cost that peers cause.
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
	a.newcomer(sh, s.Peer).count(&s, now) // not marked as used: a peer with one request is evicted first
}

func (e *entry) note(s *rpc.Stats, now time.Time) {
	if !e.used.Load() { // a write for each request would move the cache line between cores
		e.used.Store(true)
	}
	e.count(s, now)
}

// newcomer returns the entry of a peer, and creates it if needed. The caller holds sh.mu.
func (a *Account) newcomer(sh *shard, id peer.ID) *entry {
	if e, ok := sh.peers[id]; ok {
		return e
	}
	e := &entry{id: id}
	sh.peers[id] = e
	if len(sh.ring) < maxPeers/shards {
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

// leastUsed returns the index of a peer that was not used since the hand last passed.
// This is the clock algorithm: close to LRU, without a list to update on each request.
func (sh *shard) leastUsed() int {
	for {
		at := sh.hand
		sh.hand = (sh.hand + 1) % len(sh.ring)
		if !sh.ring[at].used.Swap(false) {
			return at
		}
	}
}
