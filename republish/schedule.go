package republish

import (
	"encoding/binary"
	"math"
	"math/bits"
	"time"
)

// Schedule holds the published keys by due time. It is owned by one goroutine.
type Schedule struct {
	cfg    Config
	index  map[Item]uint32 // place in jobs
	jobs   []job
	heap   []uint32 // places in jobs of those not active, a binary heap
	active int
}

// job is an item and when it is due: 48 bytes.
type job struct {
	item     Item
	failures uint8 // in a row, saturating
	active   bool  // handed out by Due, not reported by Done
	again    bool  // added while active: due holds its next time
	pos      int32 // place in the heap unless active
	due      int64 // unix nanoseconds
}

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
	j.due, j.failures = due.UnixNano(), 0
	if j.active {
		j.again = true
		return
	}
	s.fix(int(j.pos))
}

// Restore adds an item with the due time it was saved with. Overdue items are
// spread over the time Spread by their keys, and so, over Interval, are those due
// later than Interval can explain: the clock was set back or Interval reduced.
func (s *Schedule) Restore(now time.Time, it Item, due time.Time) {
	switch {
	case !due.After(now):
		due = now.Add(share(&it, s.cfg.Spread))
	case due.After(now.Add(s.cfg.Interval)):
		due = now.Add(share(&it, s.cfg.Interval))
	}
	s.Add(now, it, due)
}

// ClockSetBack spreads over Interval what is due later than Interval can explain: the
// clock was set back, and it would else wait until that has caught up.
func (s *Schedule) ClockSetBack(now time.Time) {
	last := now.Add(s.cfg.Interval).UnixNano()
	for i := range s.jobs {
		if j := &s.jobs[i]; j.due > last {
			j.due = now.Add(share(&j.item, s.cfg.Interval)).UnixNano()
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
	if j := &s.jobs[i]; j.active {
		s.active--
	} else {
		s.detach(int(j.pos))
	}
	delete(s.index, it)
	last := uint32(len(s.jobs) - 1)
	if i != last {
		s.jobs[i] = s.jobs[last]
		s.index[s.jobs[i].item] = i
		if !s.jobs[i].active {
			s.heap[s.jobs[i].pos] = i
		}
	}
	s.jobs = s.jobs[:last]
}

// Active reports whether an item was handed out by Due and is not done.
func (s *Schedule) Active(it Item) bool {
	i, known := s.index[it]
	return known && s.jobs[i].active
}

// Gone forgets an active item whose record is gone, unless it was added again
// meanwhile: then it is due when that says. Others are left alone.
func (s *Schedule) Gone(it Item) {
	i, known := s.index[it]
	switch {
	case !known || !s.jobs[i].active:
	case s.jobs[i].again:
		s.jobs[i].active, s.jobs[i].again = false, false
		s.active--
		s.attach(i)
	default:
		s.Remove(it)
	}
}

// Due appends the items due at now, earliest first, as far as MaxActive allows.
// They are active until Done.
func (s *Schedule) Due(dst []Item, now time.Time) []Item {
	at := now.UnixNano()
	for s.active < s.cfg.MaxActive && len(s.heap) > 0 {
		j := &s.jobs[s.heap[0]]
		if j.due > at {
			break
		}
		s.detach(0)
		j.active = true
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
	if !j.active {
		return fromNanos(j.due)
	}
	s.reschedule(j, now, ok)
	j.active, j.again = false, false
	s.active--
	s.attach(i)
	return fromNanos(j.due)
}

// reschedule sets the next due time of an active job.
func (s *Schedule) reschedule(j *job, now time.Time, ok bool) {
	if !ok {
		j.due = now.Add(s.pause(j.failures)).UnixNano()
		if j.failures < math.MaxUint8 {
			j.failures++
		}
		return
	}
	next := now.Add(s.cfg.Interval).UnixNano()
	if j.again {
		next = min(next, j.due)
	}
	j.due, j.failures = next, 0
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

// All makes every item due now that is not active.
func (s *Schedule) All(now time.Time) {
	at := now.UnixNano()
	for _, i := range s.heap {
		s.jobs[i].due, s.jobs[i].failures = at, 0
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
}

// Stats counts the items; its cost grows with those overdue.
func (s *Schedule) Stats(now time.Time) Stats {
	st := Stats{Keys: len(s.jobs), Active: s.active, Overdue: s.overdue(0, now.UnixNano())}
	if len(s.heap) > 0 {
		st.Next = fromNanos(s.jobs[s.heap[0]].due)
	}
	return st
}

func (s *Schedule) insert(it Item, due time.Time) {
	i := uint32(len(s.jobs))
	s.jobs = append(s.jobs, job{item: it, due: due.UnixNano()})
	s.index[it] = i
	s.attach(i)
}

func fromNanos(n int64) time.Time { return time.Unix(0, n).UTC() }
