package kbucket

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// never is the stored form of the zero time: before every other one.
const never = math.MinInt64

// nanos packs a time into 8 bytes. It covers the years 1678 to 2262.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == never {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// seconds packs a time into 4 bytes, up to the year 2106; 0 is the zero time.
func seconds(nanos int64) uint32 {
	return uint32(min(max(nanos/1e9, 0), math.MaxUint32))
}

func fromSeconds(s uint32) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// handle is what is needed to find a peer: 16 bytes, so that a bucket of them takes
// five cache lines.
type handle struct {
	tag  uint64    // the first 8 bytes of its key: tells peers apart without a look at peer
	peer *kad.Peer // immutable
}

// entry is what upkeep knows of a peer in a bucket: 32 bytes, of which a simulator
// keeps millions.
type entry struct {
	lastSeen  int64
	notBefore int64   // no probe earlier than this: one is under way, or backoff
	added     uint32  // in seconds: see seconds
	turn      uint32  // its place in the order of being seen, see bucket.turns
	group     groupID // noGroup is exempt
	failures  uint8   // probes failed in a row, saturating
	verified  bool    // its last exchange with us succeeded
}

// tagOf returns the first 8 bytes of a key as a number. Keys in the order of their
// tags are in their own order; equal tags say nothing.
func tagOf(k *kad.Key) uint64 { return binary.BigEndian.Uint64(k[:8]) }

// due is when the peer should be probed.
func (e *entry) due(every int64) int64 {
	if e.verified {
		return max(e.notBefore, e.lastSeen+every)
	}
	return e.notBefore
}

// failed counts a failed probe and backs off.
func (e *entry) failed(now time.Time) {
	pause := backoffMin << min(e.failures, maxDoublings)
	e.notBefore = nanos(now.Add(pause))
	if e.failures < math.MaxUint8 {
		e.failures++
	}
}

// spare is a peer in a replacement cache: it answered us while its bucket was
// full.
type spare struct {
	peer     *kad.Peer // immutable
	group    Group
	lastSeen int64
}

// bucket holds the peers of one common prefix length: those that are verified in
// front, for they are all that lookups want. Else they are put in order when
// somebody asks for it.
type bucket struct {
	handles  []handle
	verified int     // places of verified peers
	entries  []entry // of the same peers, at the same places
	spares   []spare // replacement cache, oldest first
	turns    uint32  // given to entries, ever
	dueKnown bool
	due      int64 // earliest probe, for Table.every; math.MaxInt64 if empty
}

// told are the peers that lookups are told of.
func (b *bucket) told() []handle { return b.handles[:b.verified] }

// verify moves entry i to those that are verified, or from them, and returns its new
// place.
func (b *bucket) verify(i int, verified bool) int {
	at := b.verified
	if verified {
		b.verified++
	} else {
		at--
		b.verified--
	}
	b.entries[i], b.entries[at] = b.entries[at], b.entries[i]
	b.handles[i], b.handles[at] = b.handles[at], b.handles[i]
	b.entries[at].verified = verified
	return at
}

func (b *bucket) find(k *kad.Key) int {
	tag := tagOf(k)
	for i := range b.handles {
		if h := &b.handles[i]; h.tag == tag && h.peer.Key == *k {
			return i
		}
	}
	return -1
}

// seen gives entry i the last turn.
func (b *bucket) seen(i int) {
	if b.turns == math.MaxUint32 {
		b.renumber()
	}
	b.turns++
	b.entries[i].turn = b.turns
}

// renumber gives the entries the first turns, in the order they have.
func (b *bucket) renumber() {
	for turn, i := range b.order(nil) {
		b.entries[i].turn = uint32(turn + 1)
	}
	b.turns = uint32(len(b.entries))
}

// order appends the places of all entries, least recently seen first.
func (b *bucket) order(dst []int) []int {
	for i := range b.entries {
		dst = append(dst, i)
	}
	b.sort(dst)
	return dst
}

// sort puts places of entries in order, least recently seen first.
func (b *bucket) sort(places []int) {
	slices.SortFunc(places, func(i, j int) int { return cmp.Compare(b.entries[i].turn, b.entries[j].turn) })
}

// room returns s with room for one more element, with no more than limit unless s
// has more: a full bucket takes what it needs, not the next power of two.
func room[T any](s []T, limit int) []T {
	if len(s) < cap(s) || len(s) >= limit {
		return s
	}
	return append(make([]T, 0, min(limit, max(4, 2*len(s)))), s...)
}

// ofGroup counts the peers of g.
func (b *bucket) ofGroup(g groupID) int {
	n := 0
	for i := range b.entries {
		if b.entries[i].group == g {
			n++
		}
	}
	return n
}

// weakest returns the unverified entry with the most failures, the least
// recently seen among equals, or -1. A g narrows it to that group.
func (b *bucket) weakest(g groupID) int {
	worst := -1
	for i := b.verified; i < len(b.entries); i++ {
		e := &b.entries[i]
		if g != noGroup && e.group != g {
			continue
		}
		if worst < 0 || e.weaker(&b.entries[worst]) {
			worst = i
		}
	}
	return worst
}

func (e *entry) weaker(o *entry) bool {
	return e.failures > o.failures || e.failures == o.failures && e.turn < o.turn
}

// keep puts a spare at the newest end of the cache. A group has at most
// perGroup spares, so that one network cannot push out all others: its newcomer
// takes the place of its own oldest.
func (b *bucket) keep(s spare, perGroup, size int) {
	b.forget(&s.peer.Key)
	oldest, same := 0, 0
	for i := range b.spares {
		if s.group != "" && b.spares[i].group == s.group {
			if same == 0 {
				oldest = i
			}
			same++
		}
	}
	if same < perGroup {
		oldest = 0
	}
	if same >= perGroup || len(b.spares) >= size {
		b.spares = slices.Delete(b.spares, oldest, oldest+1)
	}
	b.spares = append(room(b.spares, size), s)
}

// spare returns k's place in the cache, or -1.
func (b *bucket) spare(k *kad.Key) int {
	for i := range b.spares {
		if b.spares[i].peer.Key == *k {
			return i
		}
	}
	return -1
}

// forget drops k from the cache.
func (b *bucket) forget(k *kad.Key) {
	if i := b.spare(k); i >= 0 {
		b.spares = slices.Delete(b.spares, i, i+1)
	}
}
