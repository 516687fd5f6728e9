package republish

import (
	"slices"
	"testing"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"pgregory.net/rapid"
)

// model is the dumb second implementation: a slice, scanned for every answer.
type model struct {
	cfg   Config
	items []mitem
}

type mitem struct {
	it       Item
	due      time.Time
	failures int
	active   bool
	again    bool
	tried    bool
	holders  int
}

func (m *model) find(it Item) *mitem {
	for i := range m.items {
		if m.items[i].it == it {
			return &m.items[i]
		}
	}
	return nil
}

func (m *model) active() (n int) {
	for _, x := range m.items {
		if x.active {
			n++
		}
	}
	return n
}

// idle returns the items that are not active, by due time.
func (m *model) idle() []mitem {
	idle := slices.DeleteFunc(slices.Clone(m.items), func(x mitem) bool { return x.active })
	slices.SortFunc(idle, func(a, b mitem) int {
		if c := a.due.Compare(b.due); c != 0 {
			return c
		}
		return compareItems(&a.it, &b.it)
	})
	return idle
}

func (m *model) add(now time.Time, it Item, due time.Time) {
	if due.Before(now) {
		due = now
	}
	x := m.find(it)
	if x == nil {
		m.items = append(m.items, mitem{it: it, due: due})
		return
	}
	x.due, x.failures, x.again = due, 0, x.active
}

func (m *model) remove(it Item) {
	m.items = slices.DeleteFunc(m.items, func(x mitem) bool { return x.it == it })
}

func (m *model) due(now time.Time) (its []Item) {
	for _, x := range m.idle() {
		if x.due.After(now) || m.active() >= m.cfg.MaxActive {
			break
		}
		m.find(x.it).active = true
		its = append(its, x.it)
	}
	return its
}

func (m *model) done(now time.Time, it Item, ok bool) time.Time {
	x := m.find(it)
	switch {
	case x == nil:
		return time.Time{}
	case !x.active:
	case !ok:
		x.due = now.Add(min(m.cfg.RetryMin<<min(x.failures, 20), m.cfg.RetryMax))
		x.failures++
	default:
		next := now.Add(m.cfg.Interval)
		if x.again && x.due.Before(next) {
			next = x.due
		}
		x.due, x.failures = next, 0
	}
	x.active, x.again = false, false
	return x.due
}

func (m *model) gone(it Item) {
	switch x := m.find(it); {
	case x == nil || !x.active:
	case x.again:
		x.active, x.again = false, false
	default:
		m.remove(it)
	}
}

func (m *model) all(now time.Time) {
	for i := range m.items {
		if !m.items[i].active {
			m.items[i].due, m.items[i].failures = now, 0
		}
	}
}

func (m *model) spread(now time.Time) {
	var late []Item
	for _, x := range m.idle() {
		if !x.due.After(now) || x.due.After(now.Add(m.cfg.Interval)) {
			late = append(late, x.it)
		}
	}
	for i, it := range late {
		m.find(it).due = now.Add(m.cfg.Spread * time.Duration(i) / time.Duration(len(late)))
	}
}

func (m *model) stats(now time.Time) Stats {
	st := Stats{Keys: len(m.items), Active: m.active()}
	for i, x := range m.idle() {
		if i == 0 {
			st.Next = x.due
		}
		if !x.due.After(now) {
			st.Overdue++
		}
	}
	for _, x := range m.items {
		switch {
		case !x.tried:
			continue
		case st.Tried == 0 || x.holders < st.Fewest:
			st.Fewest, st.Worst = x.holders, 1
		case x.holders == st.Fewest:
			st.Worst++
		}
		st.Tried++
	}
	return st
}

func drawItem(t *rapid.T) Item {
	return Item{Key: kad.Key{31: byte(rapid.IntRange(0, 9).Draw(t, "key"))}, Kind: Kind(rapid.IntRange(0, 1).Draw(t, "kind"))}
}

type machine struct {
	s   *Schedule
	m   *model
	now time.Time
}

func (x *machine) step(t *rapid.T) {
	x.now = x.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
	it := drawItem(t)
	switch rapid.SampledFrom([]string{"add", "add", "due", "due", "done", "done", "done", "remove", "gone", "all", "interval", "held", "restore"}).Draw(t, "op") {
	case "add":
		due := x.now.Add(time.Duration(rapid.IntRange(-3, 30).Draw(t, "hours")) * time.Hour)
		x.s.Add(x.now, it, due)
		x.m.add(x.now, it, due)
	case "due":
		if got, want := x.s.Due(nil, x.now), x.m.due(x.now); !slices.Equal(got, want) {
			t.Fatalf("Due = %v, want %v", got, want)
		}
	case "done":
		ok := rapid.Bool().Draw(t, "ok")
		if got, want := x.s.Done(x.now, it, ok), x.m.done(x.now, it, ok); !got.Equal(want) {
			t.Fatalf("Done = %v, want %v", got, want)
		}
	case "held":
		n := rapid.IntRange(0, 3).Draw(t, "holders")
		x.s.Held(it, n)
		if y := x.m.find(it); y != nil {
			y.tried, y.holders = true, n
		}
	case "restore":
		due := x.now.Add(time.Duration(rapid.IntRange(-30, 60).Draw(t, "hours")) * time.Hour)
		x.s.Restore(it, due)
		x.s.Spread(x.now)
		if x.m.find(it) == nil {
			x.m.items = append(x.m.items, mitem{it: it, due: due})
		}
		x.m.spread(x.now)
	case "remove":
		x.s.Remove(it)
		x.m.remove(it)
	case "gone":
		x.s.Gone(it)
		x.m.gone(it)
	case "all":
		x.s.MakeAllDue(x.now)
		x.m.all(x.now)
	case "interval":
		d := time.Duration(rapid.IntRange(1, 30).Draw(t, "interval")) * time.Hour
		x.s.SetInterval(d)
		x.m.cfg.Interval = d
	}
}

func (x *machine) compare(t *rapid.T) {
	got, want := x.s.Stats(x.now), x.m.stats(x.now)
	sameNext := got.Next.Equal(want.Next)
	got.Next, want.Next = time.Time{}, time.Time{}
	if got != want || !sameNext {
		t.Fatalf("Stats = %+v, want %+v", got, want)
	}
	at, ok := x.s.Deadline()
	idle := x.m.idle()
	if want := len(idle) > 0 && x.m.active() < x.m.cfg.MaxActive; ok != want || ok && !at.Equal(idle[0].due) {
		t.Fatalf("Deadline = %v %v, want %v", at, ok, want)
	}
	for _, w := range x.m.items {
		if got, ok := x.s.DueAt(w.it); !ok || !got.Equal(w.due) {
			t.Fatalf("DueAt = %v %v, want %v", got, ok, w.due)
		}
		if got := x.s.Active(w.it); got != w.active {
			t.Fatalf("Active = %v, want %v", got, w.active)
		}
	}
}

func againstModel(t *rapid.T) {
	cfg := Config{MaxActive: rapid.IntRange(1, 4).Draw(t, "max active")}
	x := &machine{s: New(cfg), m: &model{cfg: cfg.withDefaults()}, now: time.Unix(1e9, 0)}
	for range rapid.IntRange(1, 150).Draw(t, "steps") {
		x.step(t)
		x.compare(t)
	}
}

func TestAgainstModel(t *testing.T) { rapid.Check(t, againstModel) }

func FuzzAgainstModel(f *testing.F) { f.Fuzz(rapid.MakeFuzz(againstModel)) }
