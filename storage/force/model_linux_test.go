//go:build force

package force

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// change is a write. After it, what it is about stands with n until it expires, or
// is gone.
type change struct {
	what   string // kind and key, see writer and load
	stands bool
	n      int64 // a sequence number or whatever else is to come back
	// Live before lo, never served at or after hi; unix nanoseconds. They differ
	// where a store may choose.
	lo, hi int64
	// extends: the later of two expiries stands (provider records), but a store may
	// cut the earlier record's to most: no life is longer, also when the clock has
	// gone back.
	extends bool
	most    int64
	order   int // when it began
}

// never is the expiry of what does not expire.
const never = math.MaxInt64

// entity is what is known of one thing that is written to.
type entity struct {
	is    change   // as last answered
	maybe []change // begun since, without an answer
}

// sweep is a run of expiry: it may remove what expired at limit or before.
type sweep struct {
	limit int64
	order int  // when it ended
	whole bool // it was not cut short
}

// late is how long after its time a provider record may still be there: an epoch's
// records go together. A clock that is set back brings it back until then.
const late = int64(3 * time.Hour)

// model holds what a process was asked to write and what it has answered. Writes
// to one thing come one after the other. Safe for concurrent use.
type model struct {
	mu       sync.Mutex
	order    int
	entities map[string]*entity
	open     map[int]change
	sweeps   []sweep // each with a lower limit than the one before
	keeps    bool    // what has expired, for the clock may go back
	answered int
	newest   map[byte]int // order of the newest that was answered, by kind
}

func newModel() *model {
	return &model{entities: map[string]*entity{}, open: map[int]change{}, newest: map[byte]int{}}
}

// begin notes that a write is about to be asked for. Only writes that are done
// with have a number: see end.
func (m *model) begin(c change) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.order++
	c.order = m.order
	e := m.entities[c.what]
	if e == nil {
		e = &entity{is: change{what: c.what}}
		m.entities[c.what] = e
	}
	e.maybe = append(e.maybe, c)
	m.open[c.order] = c
	return c.order
}

// end notes that a write was answered: it is durable, or was seen by a reader.
func (m *model) end(number int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.open[number]
	if !ok {
		panic(fmt.Sprint("force: answer to an unknown write ", number))
	}
	delete(m.open, number)
	e := m.entities[c.what]
	for i := range e.maybe {
		if e.maybe[i].order == number {
			e.maybe = append(e.maybe[:i], e.maybe[i+1:]...)
			break
		}
	}
	e.is = m.after(e.is, c)
	m.answered++
	m.newest[c.what[0]] = max(m.newest[c.what[0]], c.order)
}

// newestOf returns when the newest write of some kinds that was answered began.
func (m *model) newestOf(kinds string) (order int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, kind := range []byte(kinds) {
		order = max(order, m.newest[kind])
	}
	return order
}

// now returns the order of the last write that was begun.
func (m *model) now() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.order
}

// endBy is end for a write that by now has an expiry of at most hi.
func (m *model) endBy(number int, hi int64) {
	m.mu.Lock()
	if c, ok := m.open[number]; ok {
		c.hi = min(c.hi, hi)
		m.open[number] = c
	}
	m.mu.Unlock()
	m.end(number)
}

// known reports whether something may stand apart from the last write to it.
func (m *model) known(what string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entities[what]
	return e != nil && (e.is.stands || len(e.maybe) > 1)
}

// entity returns a copy of what is known of something.
func (m *model) entity(what string) (entity, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entities[what]
	if e == nil {
		return entity{}, false
	}
	return entity{is: e.is, maybe: append([]change(nil), e.maybe...)}, true
}

// choose returns all that was written to since an order, and some of the rest, of
// the given kinds.
func (m *model) choose(since, rest int, kinds ...string) (whats []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for what, e := range m.entities {
		for _, kind := range kinds {
			if !strings.HasPrefix(what, kind) {
				continue
			}
			if e.is.order >= since || len(e.maybe) > 0 {
				whats = append(whats, what)
			} else if rest > 0 {
				rest--
				whats = append(whats, what)
			}
		}
	}
	return whats
}

// ahead reports whether what c says may end later than its longest life and the grace
// from at: a clock was ahead, and it is not served. Of addresses lo is half of a life.
func (c *change) ahead(at int64) bool {
	switch {
	case c.lo == never:
		return false
	case c.hi == never:
		return c.lo > at+int64(records.ProviderAddrTTL/2+records.ExpireGrace)
	}
	return c.hi > at+int64(records.MaxTTL+records.ExpireGrace)
}

// replaces reports whether c may have taken the place of what stands though it ends
// earlier: a clock was ahead.
func (c *change) replaces(is *change) bool { return is.hi > c.most+int64(records.ExpireGrace) }

// after is what stands after a change.
func (m *model) after(is, c change) change {
	if c.extends && is.stands {
		if !m.swept(is) && !c.replaces(&is) {
			c.lo = max(c.lo, min(is.lo, c.most))
		}
		c.hi = max(c.hi, is.hi)
	}
	return c
}

// swept reports whether expiry may have removed what stands.
func (m *model) swept(is change) bool {
	for i := len(m.sweeps) - 1; i >= 0; i-- {
		if s := m.sweeps[i]; s.order >= is.order && s.limit >= is.lo {
			return true
		}
	}
	return false
}

// dropped reports whether expiry has removed what stands.
func (m *model) dropped(is change) bool {
	for _, s := range m.sweeps {
		if s.whole && s.order >= is.order && is.hi != never && s.limit >= is.hi+late {
			return true
		}
	}
	return false
}

// sweep notes that expiry begins, with the time up to which it may remove.
func (m *model) sweep(limit int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.sweeps) > 0 && m.sweeps[len(m.sweeps)-1].limit <= limit {
		m.sweeps = m.sweeps[:len(m.sweeps)-1]
	}
	m.sweeps = append(m.sweeps, sweep{limit: limit, order: math.MaxInt})
}

// swept ends the last sweep.
func (m *model) sweepEnds() {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := &m.sweeps[len(m.sweeps)-1]
	last.order, last.whole = m.order, true
}

// cut notes that the process has been killed: it answers nothing any more.
func (m *model) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.open)
	if n := len(m.sweeps); n > 0 {
		m.sweeps[n-1].order = min(m.sweeps[n-1].order, m.order)
	}
}

// must reports whether e has to be there at a time, with one of the values of
// allows.
func (m *model) must(e *entity, at int64) bool {
	if !e.is.stands || at >= e.is.lo || e.is.ahead(at) || m.swept(e.is) {
		return false
	}
	for _, c := range e.maybe {
		if c.extends && m.keeps {
			return false // it may be taken only once the clock has been set back, and replace what is ahead then
		}
		if !c.stands || c.ahead(at) || (!c.extends || c.replaces(&e.is)) && (at >= c.lo || m.swept(c)) {
			return false
		}
	}
	return true
}

// until is when e may be served no longer.
func (e *entity) until() (hi int64) {
	if e.is.stands {
		hi = e.is.hi
	}
	for _, c := range e.maybe {
		if c.stands {
			hi = max(hi, c.hi)
		}
	}
	return hi
}

// allows reports whether n may be what is found of e at a time.
func (e *entity) allows(n, at int64) bool {
	if e.is.stands && n == e.is.n && at < e.is.hi {
		return true
	}
	for _, c := range e.maybe {
		if c.stands && n == c.n && at < max(c.hi, e.is.hi) {
			return true
		}
	}
	return false
}

// resolve settles what was found of something at a time, and forgets it once its
// time is over.
func (m *model) resolve(what string, there bool, n, at int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entities[what]; e != nil {
		if m.settle(e, there, n, at); e.until() <= at && !m.keeps {
			delete(m.entities, what)
		}
	}
}

// settle takes over what was found of e after a kill at a time: there with n, or
// not there. What cannot be told apart stays open.
func (m *model) settle(e *entity, there bool, n, at int64) {
	var open []change
	for _, c := range e.maybe {
		switch {
		case c.extends && e.is.stands: // which expiry it has cannot be seen
			if len(open) > 0 {
				c.hi, open = max(c.hi, open[0].hi), open[:0]
			}
			open = append(open, c)
		case there && c.stands && c.n == n, !there && !c.stands && !e.is.ahead(at):
			e.is = c
		case !there && (at >= c.lo || c.ahead(at) || m.swept(c)): // it may be there and not served
			open = append(open, c)
		}
	}
	e.maybe = open
}

// forget drops what says nothing any more.
func (m *model) forget(e *entity) bool {
	gone := len(e.maybe) == 0 && (!e.is.stands || m.dropped(e.is))
	if gone {
		delete(m.entities, e.is.what)
	}
	return gone
}
