package kbucket

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// never is the stored form of the zero time. It is before all other times.
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

// handle finds a peer. It has 16 bytes, so that a bucket of handles takes five cache
// lines.
type handle struct {
	tag  uint64    // the first 8 bytes of its key: compared before peer is read
	peer *kad.Peer // immutable
}

// entry is the rest of what a bucket stores about a peer. It has 32 bytes, because a
// simulator keeps millions of them.
type entry struct {
	lastSeen  int64
	notBefore int64   // earliest next probe: one is in flight, or the peer is backed off
	added     uint32  // in seconds: see seconds
	turn      uint32  // grows each time the peer is seen, see bucket.turns
	group     groupID // noGroup is exempt
	failures  uint8   // failed probes in a row, saturating
	verified  bool    // its last exchange with this node succeeded
}

// tagOf returns the first 8 bytes of a key as a number. Tags that differ order their
// keys; keys with equal tags must be compared in full.
func tagOf(k *kad.Key) uint64 { return binary.BigEndian.Uint64(k[:8]) }

// due returns when the peer should be probed.
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

// spare is a peer in a replacement cache: it answered while its bucket was full.
type spare struct {
	peer     *kad.Peer // immutable
	group    Group
	lastSeen int64
}

// bucket holds the peers of one common prefix length. Verified peers come first,
// because lookups want no others. Within the two parts the order is arbitrary; order
// sorts on demand.
type bucket struct {
	handles  []handle
	verified int     // the first so many peers are verified
	entries  []entry // of the same peers, at the same indices
	spares   []spare // replacement cache, oldest first
	turns    uint32  // the last turn given to an entry
	dueKnown bool
	due      int64 // earliest probe, for Table.every; math.MaxInt64 if empty
}

// told returns the verified peers, the only ones that lookups get.
func (b *bucket) told() []handle { return b.handles[:b.verified] }

// verify moves entry i into or out of the verified part and returns its new index.
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

// renumber gives the entries turns from 1 on and keeps their order.
func (b *bucket) renumber() {
	for turn, i := range b.order(nil) {
		b.entries[i].turn = uint32(turn + 1)
	}
	b.turns = uint32(len(b.entries))
}

// order appends the indices of all entries, least recently seen first.
func (b *bucket) order(dst []int) []int {
	for i := range b.entries {
		dst = append(dst, i)
	}
	b.sort(dst)
	return dst
}

// sort sorts indices of entries, least recently seen first.
func (b *bucket) sort(places []int) {
	slices.SortFunc(places, func(i, j int) int { return cmp.Compare(b.entries[i].turn, b.entries[j].turn) })
}

// room returns s with capacity for one more element. The capacity exceeds limit only
// if the length does: a full bucket should not take the next power of two.
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

// keep adds a spare at the newest end of the cache. A group has at most perGroup
// spares, and one more replaces its own oldest. So one network cannot push out the
// others.
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

// spare returns k's index in the cache, or -1.
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
