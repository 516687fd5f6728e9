package dht

import "time"

type timerKind uint8

const (
	timerSoft  timerKind = iota // a request is slow
	timerLate                   // a request has been slow for long
	timerQuery                  // a query has run too long
	timerPace                   // a peer that limits announcements may accept one
)

// timer is a time at which something may be due. The request, query or pace it names may
// have ended by then.
type timer struct {
	at   time.Time
	kind timerKind
	id   uint64
}

// timers is a heap by time. Ties are broken by kind and ID, so that the order is the same
// in every run.
type timers []timer

func (t *timer) before(o *timer) bool {
	if c := t.at.Compare(o.at); c != 0 {
		return c < 0
	}
	if t.kind != o.kind {
		return t.kind < o.kind
	}
	return t.id < o.id
}

func (t *timers) push(x timer) {
	h := append(*t, x)
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !x.before(&h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = x
	*t = h
}

func (t timers) next() (time.Time, bool) {
	if len(t) == 0 {
		return time.Time{}, false
	}
	return t[0].at, true
}

// pop removes and returns the first timer that is due at now.
func (t *timers) pop(now time.Time) (timer, bool) {
	if len(*t) == 0 || (*t)[0].at.After(now) {
		return timer{}, false
	}
	return t.drop(), true
}

// drop removes and returns the first timer. A heap that becomes empty frees its memory,
// because a node is idle most of the time.
func (t *timers) drop() timer {
	h := *t
	top, last := h[0], len(h)-1
	x := h[last]
	h = h[:last]
	*t = h
	if last == 0 {
		*t = nil
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && h[child+1].before(&h[child]) {
			child++
		}
		if !h[child].before(&x) {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = x
	return top
}

// dropStale drops the first timers whose request or query has ended, so that the driver
// is not woken for them.
func (m *Machine) dropStale() {
	for len(m.timers) > 0 {
		t := &m.timers[0]
		var live bool
		switch t.kind {
		case timerQuery:
			live = m.queries.find(QueryID(t.id)) != nil
		case timerPace:
			live = m.paceByID(t.id) != nil
		default:
			live = m.requests.find(RequestID(t.id)) != nil
		}
		if live {
			return
		}
		m.timers.drop()
	}
}
