package republish

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"time"
)

// Schedule holds the published keys by due time. It is owned by one goroutine.
type Schedule struct {
	cfg    Config
	index  map[Item]uint32 // index into jobs
	jobs   []job
	heap   []uint32 // indices of the jobs that are not active, a binary heap
	active int
	held   []int // held[n]: items that n peers stored when last published
}

// job is an item and its due time: 48 bytes.
type job struct {
	item     Item
	failures uint8 // in a row, saturating
	again    bool  // added while active: due is its next time
	holders  uint8 // peers that stored it when last published, plus one, saturating; 0: not published since the start
	pos      int32 // index in the heap; handedOut: returned by Due, not yet reported by Done
	due      int64 // unix nanoseconds
}

// handedOut is the pos of an active job, which is not in the heap.
const handedOut = -1

func (j *job) active() bool { return j.pos == handedOut }

// New returns an empty schedule.
func New(cfg Config) *Schedule {
	return &Schedule{cfg: cfg.withDefaults(), index: make(map[Item]uint32)}
}

// Add schedules an item at due, or now if due has passed or is the zero time. A known
// item moves to the new time. An active item becomes due again after Done.
func (s *Schedule) Add(now time.Time, it Item, due time.Time) {
	if due.Before(now) {
		due = now
	}
	i, known := s.index[it]
	if !known {
		s.insert(it, due)
		return
	}
	j := &s.jobs[i]
	j.due, j.failures = nanos(due), 0
	if j.active() {
		j.again = true
		return
	}
	s.fix(int(j.pos))
}

// Restore adds an item with the due time it was saved with. Call Spread after the
// last one.
func (s *Schedule) Restore(it Item, due time.Time) {
	if _, known := s.index[it]; !known {
		s.insert(it, due)
	}
}

// Spread gives overdue items new due times, evenly over Config.Spread from now on, in
// the order in which they were due. The saved due times do not change until an item is
// published, so items that a short run does not reach come first in the next run. Items
// due later than Interval from now come last: the clock was set back or Interval was
// reduced, so their age is unknown.
func (s *Schedule) Spread(now time.Time) {
	first, last := nanos(now), nanos(now.Add(s.cfg.Interval))
	var late []uint32
	for _, i := range s.heap {
		if due := s.jobs[i].due; due <= first || due > last {
			late = append(late, i)
		}
	}
	slices.SortFunc(late, func(a, b uint32) int { return compareJobs(&s.jobs[a], &s.jobs[b]) })
	for rank, i := range late {
		hi, lo := bits.Mul64(uint64(s.cfg.Spread), uint64(rank))
		after, _ := bits.Div64(hi, lo, uint64(len(late)))
		s.jobs[i].due = first + int64(after)
	}
	s.heapify()
}

// ClockSetBack spreads over Interval the items that are due later than Interval from now.
// It is called when the clock was set back; otherwise they would wait until the clock has
// caught up.
func (s *Schedule) ClockSetBack(now time.Time) {
	last := nanos(now.Add(s.cfg.Interval))
	for i := range s.jobs {
		if j := &s.jobs[i]; j.due > last {
			j.due = nanos(now.Add(share(&j.item, s.cfg.Interval)))
		}
	}
	s.heapify()
}

// share returns a part of d chosen by the item's key, which is a hash already.
func share(it *Item, d time.Duration) time.Duration {
	hi, _ := bits.Mul64(binary.BigEndian.Uint64(it.Key[24:]), uint64(d))
	return time.Duration(hi)
}

// Remove removes an item. If it is active, its place among MaxActive becomes free at
// once, and its Done is ignored.
func (s *Schedule) Remove(it Item) {
	i, known := s.index[it]
	if !known {
		return
	}
	s.count(s.jobs[i].holders, -1)
	if j := &s.jobs[i]; j.active() {
		s.active--
	} else {
		s.detach(int(j.pos))
	}
	delete(s.index, it)
	last := uint32(len(s.jobs) - 1)
	if i != last {
		s.jobs[i] = s.jobs[last]
		s.index[s.jobs[i].item] = i
		if !s.jobs[i].active() {
			s.heap[s.jobs[i].pos] = i
		}
	}
	s.jobs = s.jobs[:last]
}

// Active reports whether Due has handed out an item and Done has not been called for it.
func (s *Schedule) Active(it Item) bool {
	i, known := s.index[it]
	return known && s.jobs[i].active()
}

// Gone removes an active item whose record no longer exists. If it was added again
// meanwhile, it stays, due at that time. Items that are not active do not change.
func (s *Schedule) Gone(it Item) {
	i, known := s.index[it]
	switch {
	case !known || !s.jobs[i].active():
	case s.jobs[i].again:
		s.jobs[i].again = false
		s.active--
		s.attach(i)
	default:
		s.Remove(it)
	}
}

// Due appends the items due at now, earliest first, as long as at most MaxActive are
// active. They are active until Done.
func (s *Schedule) Due(dst []Item, now time.Time) []Item {
	at := nanos(now)
	for s.active < s.cfg.MaxActive && len(s.heap) > 0 {
		j := &s.jobs[s.heap[0]]
		if j.due > at {
			break
		}
		s.detach(0)
		j.pos = handedOut
		s.active++
		dst = append(dst, j.item)
	}
	return dst
}

// Done records how the publication of an active item ended and returns its next due
// time: after Interval, or after a growing pause if it failed. For an unknown item it
// returns the zero time. An item that is not active keeps its due time.
func (s *Schedule) Done(now time.Time, it Item, ok bool) (next time.Time) {
	i, known := s.index[it]
	if !known {
		return time.Time{}
	}
	j := &s.jobs[i]
	if !j.active() {
		return fromNanos(j.due)
	}
	s.reschedule(j, now, ok)
	j.again = false
	s.active--
	s.attach(i)
	return fromNanos(j.due)
}

// reschedule sets the next due time of an active job.
func (s *Schedule) reschedule(j *job, now time.Time, ok bool) {
	if !ok {
		j.due = nanos(now.Add(s.pause(j.failures)))
		if j.failures < math.MaxUint8 {
			j.failures++
		}
		return
	}
	next := nanos(now.Add(s.cfg.Interval))
	if j.again {
		next = min(next, j.due)
	}
	j.due, j.failures = next, 0
}

// Held records how many peers stored an item when it was last published. Unknown items
// are ignored.
func (s *Schedule) Held(it Item, peers int) {
	i, known := s.index[it]
	if !known {
		return
	}
	j := &s.jobs[i]
	s.count(j.holders, -1)
	j.holders = uint8(min(peers, math.MaxUint8-1) + 1)
	s.count(j.holders, 1)
}

// count adds delta to the number of items with that many holders; 0 counts nothing.
func (s *Schedule) count(holders uint8, delta int) {
	if holders == 0 {
		return
	}
	n := int(holders) - 1
	for len(s.held) <= n {
		s.held = append(s.held, 0)
	}
	s.held[n] += delta
}

// Deadline returns when Due has an item to hand out. It returns false if nothing is
// scheduled, or while MaxActive items are active: then call it again after Done or Remove.
func (s *Schedule) Deadline() (time.Time, bool) {
	if len(s.heap) == 0 || s.active >= s.cfg.MaxActive {
		return time.Time{}, false
	}
	return fromNanos(s.jobs[s.heap[0]].due), true
}

// DueAt returns when an item is due; for an active item, when it was due.
func (s *Schedule) DueAt(it Item) (time.Time, bool) {
	i, known := s.index[it]
	if !known {
		return time.Time{}, false
	}
	return fromNanos(s.jobs[i].due), true
}

// MakeAllDue makes every item due now, except active ones.
func (s *Schedule) MakeAllDue(now time.Time) {
	at := nanos(now)
	for _, i := range s.heap {
		s.jobs[i].due, s.jobs[i].failures = at, 0
	}
	s.heapify()
}

// perKey is how much time Sooner allows for each item.
const perKey = 100 * time.Millisecond

// Sooner makes the items of a kind due within Spread, or within 100 ms for each scheduled
// item if that is less. No item becomes due later than it was. Active items are due again
// after Done, because their publication may have begun too early.
func (s *Schedule) Sooner(now time.Time, kind Kind) {
	within := min(s.cfg.Spread, time.Duration(len(s.jobs))*perKey)
	for i := range s.jobs {
		j := &s.jobs[i]
		if j.item.Kind != kind {
			continue
		}
		due := nanos(now.Add(share(&j.item, within)))
		switch {
		case !j.active(), j.again:
			j.due = min(j.due, due)
		default:
			j.due, j.again = due, true
		}
	}
	s.heapify()
}

// SetInterval changes Interval for publications reported from now on. Due times that are
// already set do not change. Zero or less means the default.
func (s *Schedule) SetInterval(d time.Duration) {
	s.cfg.Interval = d
	s.cfg = s.cfg.withDefaults()
}

// Stats describes a schedule.
type Stats struct {
	Keys    int       // scheduled items
	Active  int       // items being published
	Overdue int       // items due but not active
	Next    time.Time // earliest due time of the items that are not active; zero if none

	Tried  int // items whose number of holders is known
	Fewest int // the smallest number of holders among them
	Worst  int // items with that number of holders
}

// Stats counts the items. Its cost grows with the number of overdue items.
func (s *Schedule) Stats(now time.Time) Stats {
	st := Stats{Keys: len(s.jobs), Active: s.active, Overdue: s.overdue(0, nanos(now))}
	if len(s.heap) > 0 {
		st.Next = fromNanos(s.jobs[s.heap[0]].due)
	}
	for n, items := range s.held {
		if st.Tried == 0 && items > 0 {
			st.Fewest, st.Worst = n, items
		}
		st.Tried += items
	}
	return st
}

func (s *Schedule) insert(it Item, due time.Time) {
	i := uint32(len(s.jobs))
	s.jobs = append(s.jobs, job{item: it, due: nanos(due)})
	s.index[it] = i
	s.attach(i)
}

// nanos returns the unix nanoseconds of t: 0 for the zero time and times before 1970,
// and the largest value for times that do not fit.
func nanos(t time.Time) int64 {
	switch {
	case t.Unix() < 0:
		return 0
	case t.Unix() >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time { return time.Unix(0, n).UTC() }
