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

// change is a write. After it, its subject has the value n until it expires, or is absent.
type change struct {
	what   string // kind and key; see writer and load
	stands bool
	n      int64 // a sequence number or another value to be read back
	// Live before lo, and never served at or after hi, in Unix nanoseconds. They differ where
	// a store has a choice.
	lo, hi int64
	// extends: the later of two expiries counts (provider records). But a store may reduce
	// the expiry of the earlier record to most, because no lifetime is longer, even after the
	// clock has gone back.
	extends bool
	most    int64
	order   int // position of its begin
}

// never is the expiry of a change that does not expire.
const never = math.MaxInt64

// entity is what is known about one subject of writes.
type entity struct {
	is    change   // the last answered change
	maybe []change // changes begun since then without an answer
}

// sweep is a run of expiry, which may remove everything that expired at limit or before.
type sweep struct {
	limit int64
	order int  // position of its end
	whole bool // it was not interrupted
}

// late is how long after its expiry a provider record may still be present, because the
// records of an epoch are dropped together. If the clock is set back, it may be visible again
// until then.
const late = int64(3 * time.Hour)

// model contains the writes to a process and its answers. Writes to one subject are
// sequential. Safe for concurrent use.
type model struct {
	mu       sync.Mutex
	order    int
	entities map[string]*entity
	open     map[int]change
	sweeps   []sweep // each with a lower limit than the previous one
	keeps    bool    // keep expired entities, because the clock may go back
	answered int
	newest   map[byte]int // position of the newest answered write, by kind
}

func newModel() *model {
	return &model{entities: map[string]*entity{}, open: map[int]change{}, newest: map[byte]int{}}
}

// begin records that a write is about to be sent. Only completed writes release their number;
// see end.
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

// end records that a write was answered: it is durable, or a reader has seen it.
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

// newestOf returns the position at which the newest answered write of some kinds began.
func (m *model) newestOf(kinds string) (order int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, kind := range []byte(kinds) {
		order = max(order, m.newest[kind])
	}
	return order
}

// now returns the position of the last write that began.
func (m *model) now() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.order
}

// endBy is end for a write whose expiry is now at most hi.
func (m *model) endBy(number int, hi int64) {
	m.mu.Lock()
	if c, ok := m.open[number]; ok {
		c.hi = min(c.hi, hi)
		m.open[number] = c
	}
	m.mu.Unlock()
	m.end(number)
}

// known reports whether a subject may exist independently of its last write.
func (m *model) known(what string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entities[what]
	return e != nil && (e.is.stands || len(e.maybe) > 1)
}

// entity returns a copy of what is known about a subject.
func (m *model) entity(what string) (entity, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entities[what]
	if e == nil {
		return entity{}, false
	}
	return entity{is: e.is, maybe: append([]change(nil), e.maybe...)}, true
}

// choose returns all subjects of the given kinds written since a position, and some of the
// others.
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

// ahead reports whether c may expire later than its maximum lifetime plus the grace period
// from at. Then a clock was ahead, and c is not served. For addresses, lo is half of a
// lifetime.
func (c *change) ahead(at int64) bool {
	switch {
	case c.lo == never:
		return false
	case c.hi == never:
		return c.lo > at+int64(records.ProviderAddrTTL/2+records.ExpireGrace)
	}
	return c.hi > at+int64(records.MaxTTL+records.ExpireGrace)
}

// replaces reports whether c may have replaced the current state although it expires earlier,
// because a clock was ahead.
func (c *change) replaces(is *change) bool { return is.hi > c.most+int64(records.ExpireGrace) }

// after is the state after a change.
func (m *model) after(is, c change) change {
	if c.extends && is.stands {
		if !m.swept(is) && !c.replaces(&is) {
			c.lo = max(c.lo, min(is.lo, c.most))
		}
		c.hi = max(c.hi, is.hi)
	}
	return c
}

// swept reports whether expiry may have removed the current state.
func (m *model) swept(is change) bool {
	for i := len(m.sweeps) - 1; i >= 0; i-- {
		if s := m.sweeps[i]; s.order >= is.order && s.limit >= is.lo {
			return true
		}
	}
	return false
}

// dropped reports whether expiry has removed the current state.
func (m *model) dropped(is change) bool {
	for _, s := range m.sweeps {
		if s.whole && s.order >= is.order && is.hi != never && s.limit >= is.hi+late {
			return true
		}
	}
	return false
}

// sweep records that expiry begins, and the time up to which it may remove.
func (m *model) sweep(limit int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.sweeps) > 0 && m.sweeps[len(m.sweeps)-1].limit <= limit {
		m.sweeps = m.sweeps[:len(m.sweeps)-1]
	}
	m.sweeps = append(m.sweeps, sweep{limit: limit, order: math.MaxInt})
}

// swept records the end of the last sweep.
func (m *model) sweepEnds() {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := &m.sweeps[len(m.sweeps)-1]
	last.order, last.whole = m.order, true
}

// cut records that the process has been killed and sends no more answers.
func (m *model) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.open)
	if n := len(m.sweeps); n > 0 {
		m.sweeps[n-1].order = min(m.sweeps[n-1].order, m.order)
	}
}

// must reports whether e has to be present at a time, with one of the values of allows.
func (m *model) must(e *entity, at int64) bool {
	if !e.is.stands || at >= e.is.lo || e.is.ahead(at) || m.swept(e.is) {
		return false
	}
	for _, c := range e.maybe {
		if c.extends && m.keeps {
			return false // it may be accepted only after the clock was set back, and then replace a state that is ahead
		}
		if !c.stands || c.ahead(at) || (!c.extends || c.replaces(&e.is)) && (at >= c.lo || m.swept(c)) {
			return false
		}
	}
	return true
}

// until returns when e may no longer be served.
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

// allows reports whether e may have the value n at a time.
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

// resolve settles what was found of a subject at a time, and forgets the subject after its
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

// settle adopts what was found of e at a time after a kill: present with n, or absent. Cases
// that cannot be distinguished stay open.
func (m *model) settle(e *entity, there bool, n, at int64) {
	var open []change
	for _, c := range e.maybe {
		switch {
		case c.extends && e.is.stands: // its expiry is not visible
			if len(open) > 0 {
				c.hi, open = max(c.hi, open[0].hi), open[:0]
			}
			open = append(open, c)
		case there && c.stands && c.n == n, !there && !c.stands && !e.is.ahead(at):
			e.is = c
		case !there && (at >= c.lo || c.ahead(at) || m.swept(c)): // it may be present but not served
			open = append(open, c)
		}
	}
	e.maybe = open
}

// forget removes entries that no longer matter.
func (m *model) forget(e *entity) bool {
	gone := len(e.maybe) == 0 && (!e.is.stands || m.dropped(e.is))
	if gone {
		delete(m.entities, e.is.what)
	}
	return gone
}
