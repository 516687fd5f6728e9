package dht

import (
	"container/heap"
	"time"
)

type timerKind uint8

const (
	timerSoft  timerKind = iota // a request is slow
	timerLate                   // a request has been slow for long
	timerQuery                  // a query has run too long
)

// timer is a moment at which something may be due; what it names may be gone by
// then.
type timer struct {
	at   time.Time
	kind timerKind
	id   uint64
}

// timers is a heap by time, ties by kind and ID, so that order is the same in
// every run.
type timers struct{ h timerHeap }

func (t *timers) push(x timer) { heap.Push(&t.h, x) }

func (t *timers) next() (time.Time, bool) {
	if len(t.h) == 0 {
		return time.Time{}, false
	}
	return t.h[0].at, true
}

// pop removes and returns the first timer that is due at now.
func (t *timers) pop(now time.Time) (timer, bool) {
	if len(t.h) == 0 || t.h[0].at.After(now) {
		return timer{}, false
	}
	return heap.Pop(&t.h).(timer), true
}

type timerHeap []timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if c := h[i].at.Compare(h[j].at); c != 0 {
		return c < 0
	}
	if h[i].kind != h[j].kind {
		return h[i].kind < h[j].kind
	}
	return h[i].id < h[j].id
}

func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)   { *h = append(*h, x.(timer)) }

func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
