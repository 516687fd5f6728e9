package republish

import (
	"testing"
	"time"
)

func TestRing(t *testing.T) {
	s := New(Config{Interval: 10 * time.Hour, MaxActive: 1})
	at := func(first byte, due time.Duration) {
		var it Item
		it.Key[0], it.Key[31] = first, byte(len(s.jobs))
		s.Add(t0, it, t0.Add(due))
	}
	at(0x00, 5*time.Hour)
	at(0x3f, 10*time.Hour)
	at(0x40, 0)
	at(0x41, 0)
	at(0xff, 99*time.Hour)
	if got := s.Due(nil, t0); len(got) != 1 {
		t.Fatalf("%d active", len(got))
	}
	want := []Sector{{Keys: 2, Left: .75}, {Keys: 2, Overdue: 1, Active: 1}, {}, {Keys: 1, Left: 1}}
	for i, got := range s.Ring(4, t0) {
		if got != want[i] {
			t.Errorf("sector %d = %+v, want %+v", i, got, want[i])
		}
	}
	for _, sec := range New(Config{}).Ring(3, t0) {
		if sec != (Sector{}) {
			t.Errorf("a sector of nothing = %+v", sec)
		}
	}
}

// With many items, Ring reads a sample, and its counts are close.
func TestRingOfMany(t *testing.T) {
	s := New(Config{})
	const n = 3*ringSample + 17
	for i := range n {
		s.Add(t0, item(i), t0.Add(11*time.Hour))
	}
	total := 0
	for i, sec := range s.Ring(8, t0) {
		total += sec.Keys
		if sec.Keys < n/10 || sec.Keys > n/7 || sec.Left != .5 {
			t.Errorf("sector %d = %+v", i, sec)
		}
	}
	if total < n || total > n+8 {
		t.Errorf("%d keys in all, want about %d", total, n)
	}
}

func BenchmarkRing(b *testing.B) {
	s := New(Config{})
	for i := range 1_000_000 {
		s.Add(t0, item(i), t0.Add(time.Hour))
	}
	for b.Loop() {
		s.Ring(64, t0)
	}
}
