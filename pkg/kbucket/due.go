package kbucket

import (
	"math"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Buckets remember their earliest probe for one value of `every`, so that ProbeDue does
// not read the whole table each time.

// leaves is called before e changes or is removed.
func (t *Table) leaves(b *bucket, e *entry) {
	if b.dueKnown && e.due(t.every) <= b.due {
		b.dueKnown = false
	}
}

// enters is called after e was added or changed.
func (t *Table) enters(b *bucket, e *entry) {
	if b.dueKnown {
		b.due = min(b.due, e.due(t.every))
	}
}

// nextDue returns the earliest probe of a bucket.
func (t *Table) nextDue(b *bucket) int64 {
	if b.dueKnown {
		return b.due
	}
	b.due, b.dueKnown = math.MaxInt64, true
	for i := range b.entries {
		b.due = min(b.due, b.entries[i].due(t.every))
	}
	return b.due
}

// ProbeDue appends up to n peers that should be probed now: verified peers that were
// silent for `every`, and unverified peers whose pause is over. The nearest bucket comes
// first, and the least recently seen peer within it.
func (t *Table) ProbeDue(dst []kad.Peer, now time.Time, every time.Duration, n int) []kad.Peer {
	limit, at := len(dst)+n, nanos(now)
	t.setEvery(every)
	for cpl := len(t.buckets) - 1; cpl >= 0; cpl-- {
		b := &t.buckets[cpl]
		if t.nextDue(b) > at {
			continue
		}
		var places []int
		for i := range b.entries {
			if b.entries[i].due(t.every) <= at {
				places = append(places, i)
			}
		}
		b.sort(places)
		for _, i := range places {
			if len(dst) >= limit {
				return dst
			}
			dst = append(dst, *b.handles[i].peer)
		}
	}
	return dst
}

// setEvery discards what the buckets remember for another value.
func (t *Table) setEvery(every time.Duration) {
	if t.every != int64(every) {
		t.every = int64(every)
		t.forgetDue()
	}
}

func (t *Table) forgetDue() {
	for cpl := range t.buckets {
		t.buckets[cpl].dueKnown = false
	}
}

// Probing marks that a probe of k is in flight. ProbeDue leaves k out until Add or
// Failed reports the outcome, for a minute at most.
func (t *Table) Probing(k kad.Key, now time.Time) {
	if b, i := t.find(&k); i >= 0 {
		e := &b.entries[i]
		t.leaves(b, e)
		e.notBefore = nanos(now.Add(probePatience))
		t.enters(b, e)
	}
}

// refreshTop returns the highest populated CPL, at most maxRefreshCPL; -1 if the
// table is empty.
func (t *Table) refreshTop() int {
	for cpl := len(t.buckets) - 1; cpl >= 0; cpl-- {
		if t.BucketLen(cpl) > 0 {
			return min(cpl, maxRefreshCPL)
		}
	}
	return -1
}

// RefreshDue returns the CPLs not refreshed for `every`, ascending: up to the
// highest populated one, at most 15. An empty table has none.
func (t *Table) RefreshDue(now time.Time, every time.Duration) []int {
	var due []int
	for cpl := 0; cpl <= t.refreshTop(); cpl++ {
		if t.refreshed[cpl]+int64(every) <= nanos(now) {
			due = append(due, cpl)
		}
	}
	return due
}

// OldestRefresh returns the earliest last refresh of the buckets that RefreshDue
// covers; the zero time if one was never refreshed or the table is empty.
func (t *Table) OldestRefresh() time.Time {
	oldest := int64(math.MaxInt64)
	for _, last := range t.refreshed[:t.refreshTop()+1] {
		oldest = min(oldest, last)
	}
	if oldest == math.MaxInt64 {
		return time.Time{}
	}
	return fromNanos(oldest)
}

// Refreshed records that the bucket of cpl was refreshed, or that its refresh
// was started. CPLs that are never due are ignored.
func (t *Table) Refreshed(cpl int, now time.Time) {
	if cpl >= 0 && cpl <= maxRefreshCPL {
		t.refreshed[cpl] = nanos(now)
	}
}

// ClockSetBack moves times that lie after now to now. It is called when the clock was
// set back; otherwise probes and refreshes would wait until the clock has caught up.
func (t *Table) ClockSetBack(now time.Time) {
	at, pause := nanos(now), nanos(now.Add(backoffMin<<maxDoublings))
	for _, b := range t.buckets {
		for i := range b.entries {
			e := &b.entries[i]
			e.lastSeen, e.added, e.notBefore = min(e.lastSeen, at), min(e.added, seconds(at)), min(e.notBefore, pause)
		}
		for i := range b.spares {
			b.spares[i].lastSeen = min(b.spares[i].lastSeen, at)
		}
	}
	for cpl := range t.refreshed {
		t.refreshed[cpl] = min(t.refreshed[cpl], at)
	}
	t.forgetDue()
}
