package kbucket

import (
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Table is the routing table of one node. It is owned by one goroutine; a View
// may be shared.
type Table struct {
	// The fields that are read most, in one cache line.
	self    kad.Key
	buckets []bucket // by common prefix length, grown on demand
	sated   uint64   // bits of the first 64 buckets that want no more peers, see Wants

	cfg       Config
	groups    groups
	peers     int
	verified  int
	gen       uint64
	every     int64 // the value for which buckets remember their next probe
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

// Outcome is what Add did with a peer.
type Outcome uint8

// The outcomes of Add.
const (
	Added    Outcome = iota // new in its bucket
	Updated                 // already in its bucket: now the most recently seen
	Cached                  // bucket full: kept as a replacement
	Rejected                // the node's own key, or too many peers of its group
)

// String returns the name of the outcome.
func (o Outcome) String() string {
	return [...]string{"added", "updated", "cached", "rejected"}[o]
}

// Add records that p, of group g, has just answered.
//
// A new peer whose bucket is full replaces an unverified peer, if there is one, and is
// cached as a replacement otherwise. A new peer whose group has reached a limit replaces
// an unverified peer of that group, if that is enough, and is rejected otherwise.
//
// A known peer that answers from another group moves to that group if its limits allow,
// and counts for its old group otherwise. So limits always hold, and a peer with two
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

// Wants reports whether the table could use k if it answered: as an entry, or as a spare
// while spares are missing. A full bucket of verified peers with a full replacement cache
// wants no more. Probing every peer that asks would make two such tables probe each other
// forever.
func (t *Table) Wants(k kad.Key) bool {
	cpl := kad.CommonPrefixLen(&t.self, &k)
	switch {
	case cpl == kad.KeyBits:
		return false
	case cpl >= len(t.buckets):
		return true
	case t.sated>>cpl&1 != 0:
		return false // even if it is in the bucket
	}
	b := &t.buckets[cpl]
	if i := b.find(&k); i >= 0 {
		return !b.entries[i].verified
	}
	return !t.full(b) || len(b.spares) < t.cfg.Replacements && b.spare(&k) < 0
}

// full reports whether b has no free place and no peer that can be replaced.
func (t *Table) full(b *bucket) bool {
	return len(b.entries) >= t.cfg.BucketSize && b.verified == len(b.entries)
}

// changed is called after the bucket of cpl has changed.
func (t *Table) changed(cpl int) {
	bit := uint64(1) << cpl // 0 from 64 on
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

// setVerified counts entry i of b as verified or not and returns its new index.
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

// regroup moves e to group g if the limits of g allow it.
func (t *Table) regroup(b *bucket, e *entry, g Group) {
	if t.groups.name(e.group) == g || !t.fits(b, g, e) {
		return
	}
	t.groups.leave(e.group)
	e.group = t.groups.join(g)
}

// makeRoom evicts an unverified peer if b or group g is full. It returns false if the
// group stays full; b may be full even if it returns true.
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

// evictOfGroup evicts an unverified peer of group u, from the farthest bucket that has
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

// Failed records that a probe of k or a request to k failed. If the replacement cache
// has a peer whose group fits, the newest one replaces k; it is unverified and due for a
// probe at once. Otherwise k stays, unverified, and is due again after a growing pause.
// If k is in the replacement cache, it is dropped from there.
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

// Remove evicts k in any state, also from the replacement cache, because it is gone for
// good or is not a server. The newest replacement whose group fits takes its place,
// unverified and due for a probe at once.
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

// replacement returns the index of the newest spare that fits b after e has left, or -1.
func (t *Table) replacement(b *bucket, e *entry) int {
	for s := len(b.spares) - 1; s >= 0; s-- {
		if t.fits(b, b.spares[s].group, e) {
			return s
		}
	}
	return -1
}

// promote makes spare s an entry of b with the turn of the entry that left. It is due
// for a probe at once.
func (t *Table) promote(b *bucket, turn uint32, s int) kad.Peer {
	r := b.spares[s]
	b.spares = slices.Delete(b.spares, s, s+1)
	t.insert(b, r.peer, entry{lastSeen: r.lastSeen, added: seconds(r.lastSeen), notBefore: r.lastSeen, turn: turn}, r.group)
	return *r.peer
}

// share returns the copy of the peer that the table points to.
func (t *Table) share(p kad.Peer) *kad.Peer {
	if t.cfg.Share != nil {
		return t.cfg.Share(p)
	}
	own := p // with &p every call of Add would allocate
	return &own
}

// insert adds an entry to b, counts it and returns its index.
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

// evict removes entry i of b, uncounts it and returns its turn. The last entry moves to
// index i.
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

// grow returns the bucket of cpl and creates it if it does not exist.
func (t *Table) grow(cpl int) *bucket {
	if need := cpl + 1 - len(t.buckets); need > 0 {
		t.buckets = append(make([]bucket, 0, cpl+1), t.buckets...)[:cpl+1] // exact: buckets are rarely added
	}
	return &t.buckets[cpl]
}

// find returns k's bucket, nil if it was never created, and k's index in it or -1.
func (t *Table) find(k *kad.Key) (*bucket, int) {
	cpl := kad.CommonPrefixLen(&t.self, k)
	if cpl >= len(t.buckets) {
		return nil, -1
	}
	return &t.buckets[cpl], t.buckets[cpl].find(k)
}
