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
	index  map[Item]uint32 // place in jobs
	jobs   []job
	heap   []uint32 // places in jobs of those not active, a binary heap
	active int
	held   []int // held[n]: items that n peers took when they were last tried
}

// job is an item and when it is due: 48 bytes.
type job struct {
	item     Item
	failures uint8 // in a row, saturating
	again    bool  // added while active: due holds its next time
	holders  uint8 // peers that took it when last tried, plus one, saturating; 0: not tried
	pos      int32 // place in the heap; inWork: handed out by Due, not reported by Done
	due      int64 // unix nanoseconds
}

// inWork is the place of a job that is not in the heap.
const inWork = -1

func (j *job) active() bool { return j.pos == inWork }

// New returns an empty schedule.
func New(cfg Config) *Schedule {
	return &Schedule{cfg: cfg.withDefaults(), index: make(map[Item]uint32)}
}

// Add makes it due at due, now if that has passed or is the zero time; a known
// item moves. An active item becomes due again after Done.
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

// Spread gives overdue items new due times, evenly over the time Spread from now on
// and in the order in which they were due. What a short run does not reach is first
// in the next one: the saved due times do not change until an item is tried. Items
// due later than Interval can explain come last: the clock was set back or Interval
// reduced, and nobody knows how old they are.
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

// ClockSetBack spreads over Interval what is due later than Interval can explain: the
// clock was set back, and it would else wait until that has caught up.
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

// Remove forgets an item. If it is active its place is free at once, and its
// Done will be ignored.
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

// Active reports whether an item was handed out by Due and is not done.
func (s *Schedule) Active(it Item) bool {
	i, known := s.index[it]
	return known && s.jobs[i].active()
}

// Gone forgets an active item whose record is gone, unless it was added again
// meanwhile: then it is due when that says. Others are left alone.
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

// Due appends the items due at now, earliest first, as far as MaxActive allows.
// They are active until Done.
func (s *Schedule) Due(dst []Item, now time.Time) []Item {
	at := nanos(now)
	for s.active < s.cfg.MaxActive && len(s.heap) > 0 {
		j := &s.jobs[s.heap[0]]
		if j.due > at {
			break
		}
		s.detach(0)
		j.pos = inWork
		s.active++
		dst = append(dst, j.item)
	}
	return dst
}

// Done records how the work on an active item ended and returns when it is due
// next: after Interval, or after a growing pause if it failed. An unknown item
// gives the zero time, one that is not active keeps its due time.
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

// Held notes how many peers took an item when it was last tried. Unknown items are
// ignored.
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

// count changes how many items have as many holders as a job's field says.
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

// pause returns the pause after one more failure than before.
func (s *Schedule) pause(before uint8) time.Duration {
	d := s.cfg.RetryMin
	for ; before > 0 && d < s.cfg.RetryMax; before-- {
		d *= 2
	}
	return min(d, s.cfg.RetryMax)
}

// Deadline returns when Due has something to hand out; false if nothing is
// scheduled or MaxActive is reached, when only Done or Remove can change that.
func (s *Schedule) Deadline() (time.Time, bool) {
	if len(s.heap) == 0 || s.active >= s.cfg.MaxActive {
		return time.Time{}, false
	}
	return fromNanos(s.jobs[s.heap[0]].due), true
}

// DueAt returns when an item is due, or was due if it is active.
func (s *Schedule) DueAt(it Item) (time.Time, bool) {
	i, known := s.index[it]
	if !known {
		return time.Time{}, false
	}
	return fromNanos(s.jobs[i].due), true
}

// MakeAllDue makes every item due now, except those in work.
func (s *Schedule) MakeAllDue(now time.Time) {
	at := nanos(now)
	for _, i := range s.heap {
		s.jobs[i].due, s.jobs[i].failures = at, 0
	}
	s.heapify()
}

// perKey is the time that Sooner gives each item while there are few.
const perKey = 100 * time.Millisecond

// Sooner makes the items of a kind due within Spread, or within 100 ms for each item
// scheduled if that is less. No item becomes due later than it was. Items in work are
// due again after Done: their work may have begun too early.
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

// SetInterval changes Interval for publications reported from now on; due times
// already set stay. Zero or less means the default.
func (s *Schedule) SetInterval(d time.Duration) {
	s.cfg.Interval = d
	s.cfg = s.cfg.withDefaults()
}

// Stats describes a schedule.
type Stats struct {
	Keys    int       // items known
	Active  int       // in work
	Overdue int       // due but not in work
	Next    time.Time // earliest due time of those not in work; zero if none

	Tried  int // items of which it is known how many peers took them when last tried
	Fewest int // of those peers, at the item that the fewest took
	Worst  int // items that so few took
}

// Stats counts the items; its cost grows with those overdue.
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

// nanos returns the unix nanoseconds of t. The zero time and others before 1970 are
// 0, those that do not fit are the last that does.
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
