package kbucket

import (
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Table is the routing table of one node. It is owned by one goroutine; a View
// may be shared.
type Table struct {
	// What is asked for most, in one cache line.
	self    kad.Key
	buckets []bucket // by common prefix length, grown on demand
	sated   uint64   // the bits of the first 64 buckets that want nobody: see Wants

	cfg       Config
	groups    groups
	peers     int
	verified  int
	gen       uint64
	every     int64 // for which buckets know their next probe
	refreshed [maxRefreshCPL + 1]int64
}

// New returns an empty table for the node whose key is self.
func New(self kad.Key, cfg Config) *Table {
	t := &Table{self: self, cfg: cfg.withDefaults()}
	for i := range t.refreshed {
		t.refreshed[i] = never
	}
	return t
}

// Outcome says what became of a peer given to Add.
type Outcome uint8

// The outcomes of Add.
const (
	Added    Outcome = iota // new in a bucket
	Updated                 // was in its bucket: now the most recently seen
	Cached                  // bucket full: kept as a replacement
	Rejected                // our own key, or too many peers of its group
)

// String returns the name of the outcome.
func (o Outcome) String() string {
	return [...]string{"added", "updated", "cached", "rejected"}[o]
}

// Add records that p, of group g, has just answered us.
//
// A newcomer to a full bucket takes the place of an unverified peer, if there
// is one, and is cached as a replacement otherwise. A newcomer whose group has
// reached a limit takes the place of an unverified peer of that group, if that
// makes room, and is rejected otherwise.
//
// A known peer that comes back with another group moves to it if it has room,
// and counts for its old one otherwise: limits always hold, and a peer with two
// addresses does not flap.
func (t *Table) Add(p kad.Peer, g Group, now time.Time) Outcome {
	cpl := kad.CommonPrefixLen(&t.self, &p.Key)
	if cpl == kad.KeyBits {
		return Rejected
	}
	o := t.add(t.grow(cpl), p, g, now)
	t.changed(cpl)
	return o
}

func (t *Table) add(b *bucket, p kad.Peer, g Group, now time.Time) Outcome {
	if i := b.find(&p.Key); i >= 0 {
		t.update(b, i, g, now)
		return Updated
	}
	if !t.makeRoom(b, g) {
		return Rejected
	}
	if len(b.entries) >= t.cfg.BucketSize {
		b.keep(spare{peer: t.share(p), group: g, lastSeen: nanos(now)}, t.cfg.MaxPerGroupInBucket, t.cfg.Replacements)
		return Cached
	}
	b.forget(&p.Key)
	i := t.insert(b, t.share(p), entry{lastSeen: nanos(now), added: seconds(nanos(now)), notBefore: never, verified: true}, g)
	b.seen(i)
	return Added
}

// Wants reports whether the table has a use for k, should it answer: as an entry
// or as a spare where spares are missing. A full bucket of verified peers with a
// full replacement cache wants nobody: probing whoever asks us would only make
// two such tables probe each other without end.
func (t *Table) Wants(k kad.Key) bool {
	cpl := kad.CommonPrefixLen(&t.self, &k)
	switch {
	case cpl == kad.KeyBits:
		return false
	case cpl >= len(t.buckets):
		return true
	case t.sated>>cpl&1 != 0:
		return false // whether it is one of them or not
	}
	b := &t.buckets[cpl]
	if i := b.find(&k); i >= 0 {
		return !b.entries[i].verified
	}
	return !t.full(b) || len(b.spares) < t.cfg.Replacements && b.spare(&k) < 0
}

// full reports whether b has no room, nor anybody who would make room.
func (t *Table) full(b *bucket) bool {
	return len(b.entries) >= t.cfg.BucketSize && b.verified == len(b.entries)
}

// changed is called after the bucket of cpl has changed.
func (t *Table) changed(cpl int) {
	bit := uint64(1) << cpl // none from 64 on
	if b := &t.buckets[cpl]; t.full(b) && len(b.spares) >= t.cfg.Replacements {
		t.sated |= bit
	} else {
		t.sated &^= bit
	}
}

// update marks entry i of b as verified and most recently seen.
func (t *Table) update(b *bucket, i int, g Group, now time.Time) {
	e := &b.entries[i]
	t.leaves(b, e)
	t.regroup(b, e, g)
	i = t.setVerified(b, i, true)
	e = &b.entries[i]
	e.lastSeen, e.notBefore, e.failures = nanos(now), never, 0
	b.seen(i)
	t.enters(b, e)
}

// setVerified changes what entry i of b is counted as, and returns its new place.
func (t *Table) setVerified(b *bucket, i int, verified bool) int {
	if b.entries[i].verified == verified {
		return i
	}
	t.gen++
	if verified {
		t.verified++
	} else {
		t.verified--
	}
	return b.verify(i, verified)
}

// regroup moves e to group g if g has room.
func (t *Table) regroup(b *bucket, e *entry, g Group) {
	if t.groups.name(e.group) == g || !t.fits(b, g, e) {
		return
	}
	t.groups.leave(e.group)
	e.group = t.groups.join(g)
}

// makeRoom evicts an unverified peer if b or group g has no room for one more.
// It returns false if the group still has none; b may still be full.
func (t *Table) makeRoom(b *bucket, g Group) bool {
	full := len(b.entries) >= t.cfg.BucketSize
	if t.fits(b, g, nil) {
		if i := b.weakest(noGroup); full && i >= 0 {
			t.evict(b, i)
		}
		return true
	}
	u := t.groups.ids[g]
	if i := b.weakest(u); i >= 0 {
		t.evict(b, i)
		return true
	}
	if full || b.ofGroup(u) >= t.cfg.MaxPerGroupInBucket {
		return false
	}
	return t.evictOfGroup(u)
}

// evictOfGroup evicts an unverified peer of u from the farthest bucket that has
// one.
func (t *Table) evictOfGroup(u groupID) bool {
	for cpl := range t.buckets {
		b := &t.buckets[cpl]
		if i := b.weakest(u); i >= 0 {
			t.evict(b, i)
			t.changed(cpl)
			return true
		}
	}
	return false
}

// Failed records that a probe of, or a request to, k failed. If the replacement
// cache has a peer whose group fits, k is evicted and the newest such peer takes
// its place, unverified and due for a probe at once. Otherwise k stays,
// unverified, and is due again after a growing pause. A k in the replacement
// cache is dropped from it.
func (t *Table) Failed(k kad.Key, now time.Time) (promoted kad.Peer, evicted bool) {
	b, i := t.find(&k)
	if b == nil {
		return kad.Peer{}, false
	}
	defer t.changed(kad.CommonPrefixLen(&t.self, &k))
	b.forget(&k)
	if i < 0 {
		return kad.Peer{}, false
	}
	e := &b.entries[i]
	if s := t.replacement(b, e); s >= 0 {
		return t.promote(b, t.evict(b, i), s), true
	}
	t.leaves(b, e)
	i = t.setVerified(b, i, false)
	e = &b.entries[i]
	e.failed(now)
	t.enters(b, e)
	return kad.Peer{}, false
}

// Remove evicts k whatever its state, from the replacement cache too: it is gone
// for good, or no server. The newest replacement whose group fits takes its
// place, unverified and due for a probe at once.
func (t *Table) Remove(k kad.Key) (promoted kad.Peer, removed bool) {
	b, i := t.find(&k)
	if b == nil {
		return kad.Peer{}, false
	}
	defer t.changed(kad.CommonPrefixLen(&t.self, &k))
	b.forget(&k)
	if i < 0 {
		return kad.Peer{}, false
	}
	s := t.replacement(b, &b.entries[i])
	turn := t.evict(b, i)
	if s < 0 {
		return kad.Peer{}, true
	}
	return t.promote(b, turn, s), true
}

// replacement returns the newest spare that fits b once e has left, or -1.
func (t *Table) replacement(b *bucket, e *entry) int {
	for s := len(b.spares) - 1; s >= 0; s-- {
		if t.fits(b, b.spares[s].group, e) {
			return s
		}
	}
	return -1
}

// promote makes spare s an entry of b in the turn of the one that left, due for a
// probe at once.
func (t *Table) promote(b *bucket, turn uint32, s int) kad.Peer {
	r := b.spares[s]
	b.spares = slices.Delete(b.spares, s, s+1)
	t.insert(b, r.peer, entry{lastSeen: r.lastSeen, added: seconds(r.lastSeen), notBefore: r.lastSeen, turn: turn}, r.group)
	return *r.peer
}

// share returns where the table finds the peer from now on.
func (t *Table) share(p kad.Peer) *kad.Peer {
	if t.cfg.Share != nil {
		return t.cfg.Share(p)
	}
	own := p // not &p, which would cost every call of Add an allocation
	return &own
}

// insert adds an entry to b, counts it and returns its place.
func (t *Table) insert(b *bucket, p *kad.Peer, e entry, g Group) int {
	verified := e.verified
	e.group, e.verified = t.groups.join(g), false
	b.handles = append(room(b.handles, t.cfg.BucketSize), handle{tag: tagOf(&p.Key), peer: p})
	b.entries = append(room(b.entries, t.cfg.BucketSize), e)
	t.peers++
	at := t.setVerified(b, len(b.entries)-1, verified)
	t.enters(b, &b.entries[at])
	return at
}

// evict removes entry i of b, uncounts it and returns the turn it had. The last
// entry takes its place.
func (t *Table) evict(b *bucket, i int) (turn uint32) {
	e := &b.entries[i]
	t.leaves(b, e)
	t.groups.leave(e.group)
	i = t.setVerified(b, i, false)
	t.peers--
	turn = b.entries[i].turn
	last := len(b.entries) - 1
	b.entries[i], b.handles[i] = b.entries[last], b.handles[last]
	b.entries[last], b.handles[last] = entry{}, handle{}
	b.entries, b.handles = b.entries[:last], b.handles[:last]
	return turn
}

// grow returns the bucket of cpl, made if need be.
func (t *Table) grow(cpl int) *bucket {
	if need := cpl + 1 - len(t.buckets); need > 0 {
		t.buckets = append(make([]bucket, 0, cpl+1), t.buckets...)[:cpl+1] // few are ever added
	}
	return &t.buckets[cpl]
}

// find returns k's bucket, nil if nobody that near was ever met, and k's place in it or -1.
func (t *Table) find(k *kad.Key) (*bucket, int) {
	cpl := kad.CommonPrefixLen(&t.self, k)
	if cpl >= len(t.buckets) {
		return nil, -1
	}
	return &t.buckets[cpl], t.buckets[cpl].find(k)
}
