package republish

import (
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func item(i int) Item {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(i))
	return Item{Key: kad.KeyOf(b[:])}
}

func TestDefaults(t *testing.T) {
	want := Config{Interval: 22 * time.Hour, RetryMin: time.Minute, RetryMax: time.Hour, MaxActive: 8, Spread: 10 * time.Minute}
	if got := New(Config{}).cfg; got != want {
		t.Fatalf("defaults = %+v, want %+v", got, want)
	}
	if got := New(Config{RetryMin: 2 * time.Hour}).cfg; got.RetryMax != 2*time.Hour {
		t.Fatalf("RetryMax = %v is under RetryMin", got.RetryMax)
	}
}

func TestEmpty(t *testing.T) {
	s := New(Config{})
	if at, ok := s.Deadline(); ok || !at.IsZero() {
		t.Fatalf("Deadline = %v", at)
	}
	if _, ok := s.DueAt(item(1)); ok || s.Due(nil, t0) != nil || !s.Done(t0, item(1), true).IsZero() {
		t.Fatal("an empty schedule knows an item")
	}
	s.Remove(item(1))
	s.Gone(item(1))
	s.MakeAllDue(t0)
	if st := s.Stats(t0); st != (Stats{}) {
		t.Fatalf("Stats = %+v", st)
	}
}

func TestTiesAreInKeyOrder(t *testing.T) {
	s := New(Config{MaxActive: 100})
	var want []Item
	for i := range 40 {
		it := item(i)
		it.Kind = Kind(i % 2)
		want = append(want, it)
		s.Add(t0, it, t0)
	}
	other := want[0]
	other.Kind = 1
	s.Add(t0, other, t0)
	want = append(want, other)
	slices.SortFunc(want, func(a, b Item) int { return compareItems(&a, &b) })
	if got := s.Due(nil, t0); !slices.Equal(got, want) {
		t.Fatal("items due together are not in the order of key and kind")
	}
}

func TestBackoff(t *testing.T) {
	s, it, now := New(Config{}), item(1), t0
	s.Add(now, it, time.Time{}) // the zero time is now
	for _, minutes := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		if got := s.Due(nil, now); len(got) != 1 {
			t.Fatalf("not due at %v", now)
		}
		next := s.Done(now, it, false)
		if want := now.Add(time.Duration(minutes) * time.Minute); !next.Equal(want) {
			t.Fatalf("retry in %v, want %v min", next.Sub(now), minutes)
		}
		if at, ok := s.Deadline(); !ok || !at.Equal(next) {
			t.Fatalf("Deadline = %v, want %v", at, next)
		}
		now = next
	}
	s.Due(nil, now)
	if next := s.Done(now, it, true); !next.Equal(now.Add(22 * time.Hour)) {
		t.Fatalf("after a success due in %v", next.Sub(now))
	}
	now = now.Add(22 * time.Hour)
	s.Due(nil, now)
	if next := s.Done(now, it, false); !next.Equal(now.Add(time.Minute)) {
		t.Fatal("a success does not end the backoff")
	}
}

func TestFailuresSaturate(t *testing.T) {
	s, it, now := New(Config{}), item(1), t0
	s.Add(now, it, now)
	for range 2 * math.MaxUint8 {
		s.Due(nil, now)
		now = s.Done(now, it, false)
	}
	s.Due(nil, now)
	if next := s.Done(now, it, false); !next.Equal(now.Add(time.Hour)) {
		t.Fatalf("retry in %v", next.Sub(now))
	}
}

func TestMaxActive(t *testing.T) {
	s := New(Config{MaxActive: 2})
	for i := range 5 {
		s.Add(t0, item(i), t0.Add(time.Duration(i)))
	}
	now := t0.Add(time.Hour)
	if got := s.Due(nil, now); !slices.Equal(got, []Item{item(0), item(1)}) {
		t.Fatalf("due = %v", got)
	}
	if _, ok := s.Deadline(); ok || s.Due(nil, now) != nil {
		t.Fatal("more than MaxActive in work")
	}
	if st := s.Stats(now); st.Active != 2 || st.Overdue != 3 || st.Keys != 5 {
		t.Fatalf("Stats = %+v", st)
	}
	s.Remove(item(0))
	if got := s.Due(nil, now); !slices.Equal(got, []Item{item(2)}) {
		t.Fatalf("due after Remove = %v", got)
	}
	if !s.Done(now, item(0), true).IsZero() {
		t.Fatal("a removed item is due again")
	}
}

func TestAddWhileActive(t *testing.T) {
	s, it := New(Config{}), item(1)
	s.Add(t0, it, t0)
	s.Due(nil, t0)
	s.Add(t0, it, t0.Add(time.Minute))
	if got := s.Due(nil, t0.Add(time.Hour)); got != nil {
		t.Fatal("an item is in work twice")
	}
	if next := s.Done(t0, it, true); !next.Equal(t0.Add(time.Minute)) {
		t.Fatalf("due at %v, want when it was added for", next)
	}
}

// Overdue items are spread evenly, the longest overdue first. Items due later than
// Interval from now come after them. The others do not move.
func TestRestoreSpreads(t *testing.T) {
	const n = 1000
	s, due := New(Config{}), make(map[Item]time.Time)
	for i := range n {
		it := item(i)
		switch i % 4 {
		case 0:
			due[it] = t0.Add(-time.Duration(i*i) * time.Millisecond)
		case 1:
			due[it] = time.Time{} // never published
		case 2:
			due[it] = t0.AddDate(400, 0, 0) // the clock was set back
		case 3:
			due[it] = t0.Add(22*time.Hour + time.Duration(i))
		}
		s.Restore(it, due[it])
	}
	inTime := item(n)
	s.Restore(inTime, t0.Add(22*time.Hour))
	s.Spread(t0)
	var last time.Time
	for i, it := range inOrder(s, n) {
		at, _ := s.DueAt(it)
		if want := t0.Add(10 * time.Minute * time.Duration(i) / n); !at.Equal(want) {
			t.Fatalf("item %d of %d is due in %v, want %v", i, n, at.Sub(t0), want.Sub(t0))
		}
		if due[it].Before(last) {
			t.Fatalf("item %d was due at %v, the one before it at %v", i, due[it], last)
		}
		last = due[it]
	}
	if at, _ := s.DueAt(inTime); !at.Equal(t0.Add(22 * time.Hour)) {
		t.Fatal("an item not yet due was moved")
	}
}

// inOrder returns the first n items of a schedule in the order in which they are due.
func inOrder(s *Schedule, n int) []Item {
	its := make([]Item, 0, len(s.jobs))
	for i := range s.jobs {
		its = append(its, s.jobs[i].item)
	}
	slices.SortFunc(its, func(a, b Item) int {
		x, _ := s.DueAt(a)
		y, _ := s.DueAt(b)
		return x.Compare(y)
	})
	return its[:n]
}

func TestHeld(t *testing.T) {
	s := New(Config{})
	for i := range 5 {
		s.Add(t0, item(i), t0)
	}
	s.Held(item(99), 3) // unknown
	want := func(tried, fewest, worst int) {
		t.Helper()
		if st := s.Stats(t0); st.Tried != tried || st.Fewest != fewest || st.Worst != worst {
			t.Fatalf("Stats = %+v, want %d tried, %d at fewest, of %d", st, tried, fewest, worst)
		}
	}
	want(0, 0, 0)
	for i, peers := range []int{20, 3, 3, 1000} {
		s.Held(item(i), peers)
	}
	want(4, 3, 2)
	s.Held(item(1), 20)
	want(4, 3, 1)
	s.Held(item(0), 0)
	want(4, 0, 1)
	s.Remove(item(0))
	s.Remove(item(2))
	want(2, 20, 1)
	s.Remove(item(1))
	want(1, math.MaxUint8-1, 1) // saturated
}

func filled(n int) *Schedule {
	s := New(Config{})
	for i := range n {
		it := item(i)
		s.Add(t0, it, t0.Add(share(&it, 22*time.Hour)))
	}
	return s
}

// BenchmarkRepublish measures one publication among a million keys.
func BenchmarkRepublish(b *testing.B) {
	s := filled(1_000_000)
	var dst []Item
	b.ReportAllocs()
	for b.Loop() {
		now, _ := s.Deadline()
		dst = s.Due(dst[:0], now)
		for _, it := range dst {
			s.Done(now, it, true)
		}
	}
}

// BenchmarkAdd reports the bytes per key.
func BenchmarkAdd(b *testing.B) {
	const n = 1_000_000
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := filled(n)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(s)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/key")
}

func TestClockSetBack(t *testing.T) {
	const n = 1000
	s := New(Config{MaxActive: 2 * n})
	later := t0.Add(100 * time.Hour)
	for i := range n {
		s.Add(later, item(i), later.Add(time.Duration(i)*time.Minute))
	}
	s.Due(nil, later) // the first is active
	s.Add(t0, item(n), t0.Add(time.Hour))
	s.ClockSetBack(t0)
	if at, _ := s.DueAt(item(n)); !at.Equal(t0.Add(time.Hour)) {
		t.Fatalf("what was due in time is due at %v", at)
	}
	if got := len(s.Due(nil, t0.Add(11*time.Hour))); got < n/3 || got > 2*n/3 {
		t.Fatalf("%d of %d due after half an interval", got, n)
	}
	if got := s.Due(nil, t0.Add(22*time.Hour)); len(got) == 0 || s.Stats(t0).Active != n+1 {
		t.Fatal("some are never due")
	}
}

// Sooner spreads all items of the kind and makes none of them due later.
func TestSooner(t *testing.T) {
	const n = 10_000
	s := New(Config{MaxActive: 2 * n})
	for i := range n {
		it := item(i)
		it.Kind = 1
		s.Add(t0, it, t0.Add(20*time.Hour))
	}
	other, early := item(n), item(n+1)
	early.Kind = 1
	s.Add(t0, other, t0.Add(time.Hour))
	s.Add(t0, early, t0.Add(time.Nanosecond))
	s.Sooner(t0, 1)
	if at, _ := s.DueAt(other); !at.Equal(t0.Add(time.Hour)) {
		t.Fatalf("an item of another kind is due at %v", at)
	}
	if at, _ := s.DueAt(early); at.After(t0.Add(time.Nanosecond)) {
		t.Fatalf("an item became due later: %v", at)
	}
	first := len(s.Due(nil, t0.Add(time.Minute)))
	if first < n/20 || first > n/5 {
		t.Fatalf("%d of %d in the first of ten minutes", first, n)
	}
	if got := first + len(s.Due(nil, t0.Add(10*time.Minute))); got != n+1 {
		t.Fatalf("%d of %d within the time", got, n+1)
	}
}

// A few items do not take ten minutes.
func TestSoonerOfFew(t *testing.T) {
	s := New(Config{})
	for i := range 5 {
		s.Add(t0, item(i), t0.Add(time.Hour))
	}
	s.Sooner(t0, 0)
	if got := s.Due(nil, t0.Add(5*perKey)); len(got) != 5 {
		t.Fatalf("%d of 5 after %v", len(got), 5*perKey)
	}
}

// An active item is due again, and keeps an earlier time that it got meanwhile.
func TestSoonerWhileActive(t *testing.T) {
	s, a, b := New(Config{}), item(1), item(2)
	s.Add(t0, a, t0)
	s.Add(t0, b, t0)
	s.Due(nil, t0)
	s.Add(t0, b, t0)
	s.Sooner(t0, 0)
	if next := s.Done(t0, a, true); next.After(t0.Add(2 * perKey)) {
		t.Fatalf("due again at %v", next)
	}
	if next := s.Done(t0, b, true); !next.Equal(t0) {
		t.Fatalf("due again at %v, want when it was added for", next)
	}
}
