package kbucket

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// inBucket returns the i-th peer of the bucket of cpl around the zero key.
func inBucket(cpl, i int) kad.Peer {
	k := kad.Key{31: byte(i)}
	k[cpl>>3] |= 1 << (7 - cpl&7)
	return kad.Peer{ID: kad.PeerID(fmt.Sprintf("%d/%d", cpl, i)), Key: k}
}

func mustAdd(t *testing.T, table *Table, p kad.Peer, g Group, now time.Time, want Outcome) {
	t.Helper()
	if got := table.Add(p, g, now); got != want {
		t.Fatalf("Add(%s, %q) = %v, want %v", p.ID, g, got, want)
	}
}

// full returns a table around the zero key whose bucket 0 is full.
func full(t *testing.T, cfg Config) *Table {
	t.Helper()
	table := New(kad.Key{}, cfg)
	for i := range table.cfg.BucketSize {
		mustAdd(t, table, inBucket(0, i), "", t0, Added)
	}
	return table
}

func TestDefaults(t *testing.T) {
	want := Config{BucketSize: 20, Replacements: 10, MaxPerGroup: 3, MaxPerGroupInBucket: 2}
	if got := New(kad.Key{}, Config{}).cfg; !reflect.DeepEqual(got, want) {
		t.Fatalf("defaults = %+v, want %+v", got, want)
	}
}

func TestAdd(t *testing.T) {
	table := full(t, Config{BucketSize: 2, Replacements: 2})
	self := kad.Peer{ID: "self"}
	mustAdd(t, table, self, "", t0, Rejected)
	mustAdd(t, table, inBucket(0, 0), "", t0.Add(time.Second), Updated)
	mustAdd(t, table, inBucket(0, 2), "", t0, Cached)
	mustAdd(t, table, inBucket(0, 2), "", t0, Cached)
	mustAdd(t, table, inBucket(1, 0), "", t0, Added)
	var order []kad.PeerID
	for e := range table.Entries {
		order = append(order, e.Peer.ID)
	}
	if want := []kad.PeerID{"1/0", "0/1", "0/0"}; !slices.Equal(order, want) {
		t.Fatalf("entries = %v, want %v", order, want)
	}
	e, ok := table.Lookup(inBucket(0, 0).Key)
	if !ok || !e.LastSeen.Equal(t0.Add(time.Second)) || !e.Added.Equal(t0) || !e.Verified || e.CPL != 0 {
		t.Fatalf("Lookup = %+v, %v", e, ok)
	}
	if _, ok := table.Lookup(inBucket(0, 2).Key); ok {
		t.Fatal("a replacement is listed as an entry")
	}
	if table.BucketLen(0) != 2 || table.BucketLen(1) != 1 || table.BucketLen(2) != 0 || table.BucketLen(-1) != 0 {
		t.Fatal("BucketLen is wrong")
	}
}

func TestWants(t *testing.T) {
	table := full(t, Config{BucketSize: 2, Replacements: 2})
	wants := func(p kad.Peer, want bool) {
		t.Helper()
		if got := table.Wants(p.Key); got != want {
			t.Fatalf("Wants(%s) = %v, want %v", p.ID, got, want)
		}
	}
	wants(kad.Peer{ID: "self"}, false)
	wants(inBucket(0, 0), false) // verified
	wants(inBucket(1, 0), true)  // an empty bucket
	wants(inBucket(0, 2), true)  // no spare yet
	mustAdd(t, table, inBucket(0, 2), "", t0, Cached)
	wants(inBucket(0, 2), false) // a spare
	wants(inBucket(0, 3), true)  // one more spare fits
	mustAdd(t, table, inBucket(0, 3), "", t0, Cached)
	wants(inBucket(0, 4), false) // cache full
	table.Failed(inBucket(0, 1).Key, t0)
	wants(inBucket(0, 3), true) // promoted, unverified
	wants(inBucket(0, 4), true) // may take its place
}

func TestGroupLimits(t *testing.T) {
	table := New(kad.Key{}, Config{})
	mustAdd(t, table, inBucket(0, 0), "g", t0, Added)
	mustAdd(t, table, inBucket(0, 1), "g", t0, Added)
	mustAdd(t, table, inBucket(0, 2), "g", t0, Rejected) // two in the bucket
	mustAdd(t, table, inBucket(1, 0), "g", t0, Added)
	mustAdd(t, table, inBucket(2, 0), "g", t0, Rejected) // three in the table
	mustAdd(t, table, inBucket(2, 0), "h", t0, Added)
	mustAdd(t, table, inBucket(2, 0), "g", t0, Updated) // keeps counting for h
	if e, _ := table.Lookup(inBucket(2, 0).Key); e.Group != "h" {
		t.Fatalf("group = %q, want the old one", e.Group)
	}
	table.Remove(inBucket(1, 0).Key)
	mustAdd(t, table, inBucket(2, 0), "g", t0, Updated) // g has a free place again
	mustAdd(t, table, inBucket(1, 0), "g", t0, Rejected)
	mustAdd(t, table, inBucket(1, 0), "h", t0, Added)
}

// A dead peer does not keep others of its network out, whatever its bucket.
func TestGroupReplacesItsDead(t *testing.T) {
	table := New(kad.Key{}, Config{})
	for cpl := range 3 {
		mustAdd(t, table, inBucket(cpl, 0), "g", t0, Added)
	}
	table.Failed(inBucket(1, 0).Key, t0)
	mustAdd(t, table, inBucket(5, 0), "g", t0, Added)
	if _, ok := table.Lookup(inBucket(1, 0).Key); ok {
		t.Fatal("the dead peer of the group stayed")
	}
	mustAdd(t, table, inBucket(6, 0), "g", t0, Rejected)
}

func TestOneGroupCannotFillTheCache(t *testing.T) {
	table := full(t, Config{BucketSize: 2, Replacements: 3})
	mustAdd(t, table, inBucket(0, 10), "", t0, Cached)
	for i := 20; i < 30; i++ {
		mustAdd(t, table, inBucket(0, i), "g", t0, Cached)
	}
	var ids []kad.PeerID
	for _, s := range table.buckets[0].spares {
		ids = append(ids, s.peer.ID)
	}
	if want := []kad.PeerID{"0/10", "0/28", "0/29"}; !slices.Equal(ids, want) {
		t.Fatalf("replacements = %v, want %v", ids, want)
	}
}

func TestFailedPromotesNewest(t *testing.T) {
	table := full(t, Config{BucketSize: 2})
	mustAdd(t, table, inBucket(0, 10), "", t0, Cached)
	mustAdd(t, table, inBucket(0, 11), "", t0.Add(time.Second), Cached)
	now := t0.Add(time.Hour)
	promoted, evicted := table.Failed(inBucket(0, 0).Key, now)
	if promoted.ID != "0/11" || !evicted {
		t.Fatalf("Failed = %q %v", promoted.ID, evicted)
	}
	if _, verified := table.Len(); verified != 1 {
		t.Fatal("a promoted peer counts as verified before it answered")
	}
	if due := table.ProbeDue(nil, now, 24*time.Hour, 10); len(due) != 1 || due[0].ID != "0/11" {
		t.Fatalf("due = %v, want the promoted peer at once", due)
	}
	mustAdd(t, table, promoted, "", now, Updated)
	if promoted, removed := table.Remove(inBucket(0, 1).Key); promoted.ID != "0/10" || !removed {
		t.Fatalf("Remove = %q %v", promoted.ID, removed)
	}
	if promoted, removed := table.Remove(inBucket(0, 1).Key); promoted.ID != "" || removed {
		t.Fatal("Remove of an unknown peer did something")
	}
}

func TestFailedDropsReplacement(t *testing.T) {
	table := full(t, Config{BucketSize: 1})
	mustAdd(t, table, inBucket(0, 10), "", t0, Cached)
	if _, evicted := table.Failed(inBucket(0, 10).Key, t0); evicted {
		t.Fatal("a replacement counts as evicted")
	}
	if promoted, _ := table.Failed(inBucket(0, 0).Key, t0); promoted.ID != "" {
		t.Fatalf("%q was promoted after it failed", promoted.ID)
	}
}

// An outage of the node's own uplink does not empty the table.
func TestFailedKeepsPlaceWhileNobodyWantsIt(t *testing.T) {
	table := full(t, Config{BucketSize: 2})
	p, now := inBucket(0, 0), t0
	pause, doubled := time.Duration(0), 0
	for _, minutes := range []int{1, 2, 4, 8, 16, 32, 64, 64} {
		if _, evicted := table.Failed(p.Key, now); evicted {
			t.Fatal("evicted without a replacement")
		}
		next, ok := nextProbe(table, 1000*time.Hour)
		if want := now.Add(time.Duration(minutes) * time.Minute); !ok || !next.Equal(want) {
			t.Fatalf("next probe in %v, want %v min", next.Sub(now), minutes)
		}
		if pause > 0 && next.Sub(now) == 2*pause {
			doubled++
		}
		pause, now = next.Sub(now), next
	}
	if doubled != maxDoublings {
		t.Fatalf("the pause doubled %d times", doubled)
	}
	if near := table.Nearest(nil, p.Key, 10); len(near) != 1 || near[0].ID != "0/1" {
		t.Fatalf("Nearest = %v, want verified peers only", near)
	}
	mustAdd(t, table, inBucket(0, 9), "", now, Added) // replaces an unverified peer
	if _, ok := table.Lookup(p.Key); ok {
		t.Fatal("the failing peer kept its place")
	}
}

// nextProbe returns the earliest time at which ProbeDue returns something; false if
// the table is empty. It is in the past if a probe is due at once.
func nextProbe(t *Table, every time.Duration) (time.Time, bool) {
	t.setEvery(every)
	at := int64(math.MaxInt64)
	for cpl := range t.buckets {
		at = min(at, t.nextDue(&t.buckets[cpl]))
	}
	return time.Unix(0, at).UTC(), at != math.MaxInt64
}

func TestProbing(t *testing.T) {
	table := New(kad.Key{}, Config{})
	p, every := inBucket(3, 0), 40*time.Minute
	if _, ok := nextProbe(table, every); ok {
		t.Fatal("an empty table wants a probe")
	}
	mustAdd(t, table, p, "", t0, Added)
	now := t0.Add(every)
	if due := table.ProbeDue(nil, now.Add(-1), every, 1); len(due) != 0 {
		t.Fatalf("due too early: %v", due)
	}
	if due := table.ProbeDue(nil, now, every, 1); len(due) != 1 {
		t.Fatal("not due in time")
	}
	table.Probing(p.Key, now)
	if next, _ := nextProbe(table, every); !next.Equal(now.Add(time.Minute)) {
		t.Fatalf("an unanswered probe is repeated in %v, want 1 min", next.Sub(now))
	}
	mustAdd(t, table, p, "", now, Updated)
	if next, _ := nextProbe(table, every); !next.Equal(now.Add(every)) {
		t.Fatalf("the next probe is in %v, want %v", next.Sub(now), every)
	}
	if next, _ := nextProbe(table, time.Minute); !next.Equal(now.Add(time.Minute)) {
		t.Fatal("the next probe ignores a new interval")
	}
}

func TestRefresh(t *testing.T) {
	table, every := New(kad.Key{}, Config{}), 10*time.Minute
	if table.RefreshDue(t0, every) != nil || !table.OldestRefresh().IsZero() {
		t.Fatal("an empty table wants a refresh")
	}
	mustAdd(t, table, inBucket(3, 0), "", t0, Added)
	if due := table.RefreshDue(t0, every); !slices.Equal(due, []int{0, 1, 2, 3}) {
		t.Fatalf("due = %v", due)
	}
	for cpl := range 4 {
		table.Refreshed(cpl, t0.Add(time.Duration(cpl)*time.Minute))
	}
	if oldest := table.OldestRefresh(); !oldest.Equal(t0) {
		t.Fatalf("OldestRefresh = %v, want %v", oldest, t0)
	}
	if due := table.RefreshDue(t0.Add(every-1), every); due != nil {
		t.Fatalf("due too early: %v", due)
	}
	if due := table.RefreshDue(t0.Add(every), every); !slices.Equal(due, []int{0}) {
		t.Fatalf("due = %v", due)
	}
	if due := table.RefreshDue(t0.Add(every+time.Minute), every); !slices.Equal(due, []int{0, 1}) {
		t.Fatalf("due = %v", due)
	}
	mustAdd(t, table, inBucket(200, 0), "", t0, Added)
	if due := table.RefreshDue(t0, every); len(due) != 12 || due[11] != maxRefreshCPL {
		t.Fatalf("due = %v, want 4 to 15", due)
	}
	table.Refreshed(-1, t0)
	table.Refreshed(maxRefreshCPL+1, t0)
	if due := table.RefreshDue(t0, every); len(due) != 12 {
		t.Fatalf("due = %v after buckets that are never due", due)
	}
}

func TestClockSetBack(t *testing.T) {
	table, later := New(kad.Key{}, Config{}), t0.Add(100*time.Hour)
	for i := range 3 {
		mustAdd(t, table, inBucket(0, i), "", later, Added)
	}
	table.Failed(inBucket(0, 1).Key, later)
	table.Probing(inBucket(0, 2).Key, later)
	table.Refreshed(0, later)
	const every = 43 * time.Minute
	nextProbe(table, every) // remembered

	table.ClockSetBack(t0)
	if got := table.ProbeDue(nil, t0, every, 9); len(got) != 0 {
		t.Fatalf("ProbeDue = %v at once", got)
	}
	if got := table.ProbeDue(nil, t0.Add(every), every, 9); len(got) != 1 {
		t.Fatalf("ProbeDue = %v, want the one that was heard", got)
	}
	if got := table.ProbeDue(nil, t0.Add(64*time.Minute), every, 9); len(got) != 3 {
		t.Fatalf("ProbeDue = %v, want all", got)
	}
	if got := table.RefreshDue(t0.Add(10*time.Minute), 10*time.Minute); !slices.Equal(got, []int{0}) {
		t.Fatalf("RefreshDue = %v", got)
	}
	for e := range table.Entries {
		if e.LastSeen.After(t0) || e.Added.After(t0) {
			t.Fatalf("%+v is ahead of the clock", e)
		}
	}
}

func TestViewIsImmutable(t *testing.T) {
	table := full(t, Config{})
	v := table.View()
	for i := range 20 {
		table.Remove(inBucket(0, i).Key)
	}
	if got := v.Nearest(nil, kad.Key{}, 50); len(got) != 20 || v.Len() != 20 {
		t.Fatalf("a view changed: %d peers", len(got))
	}
}

func TestZeroTime(t *testing.T) {
	table := New(kad.Key{}, Config{})
	mustAdd(t, table, inBucket(0, 0), "", time.Time{}, Added)
	if e, _ := table.Lookup(inBucket(0, 0).Key); !e.LastSeen.IsZero() || !e.Added.IsZero() {
		t.Fatalf("entry = %+v", e)
	}
	if due := table.ProbeDue(nil, t0, time.Hour, 1); len(due) != 1 {
		t.Fatal("a peer never seen is not due")
	}
}

func TestEntrySize(t *testing.T) {
	if n := unsafe.Sizeof(entry{}); n > 32 {
		t.Fatalf("an entry has %d bytes; 100,000 tables of 200 need it small", n)
	}
}

// populated returns a table to which n random peers were added.
func populated(n int) (*Table, *rand.Rand) {
	rng := rand.New(rand.NewPCG(1, 2))
	table := New(randomKey(rng), Config{})
	for i := range n {
		table.Add(kad.Peer{ID: kad.PeerID(fmt.Sprint(i)), Key: randomKey(rng)}, "", t0)
	}
	return table, rng
}

func randomKey(rng *rand.Rand) (k kad.Key) {
	for i := range k {
		k[i] = byte(rng.Uint32())
	}
	return k
}

func TestNearestDoesNotAllocate(t *testing.T) {
	table, rng := populated(10_000)
	view, dst, target := table.View(), make([]kad.Peer, 0, 20), randomKey(rng)
	if n := testing.AllocsPerRun(100, func() { table.Nearest(dst, target, 20); view.Nearest(dst, target, 20) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func benchmarkNearest(b *testing.B, rng *rand.Rand, nearest func(dst []kad.Peer, target kad.Key, n int) []kad.Peer) {
	targets := make([]kad.Key, 1024)
	for i := range targets {
		targets[i] = randomKey(rng)
	}
	dst := make([]kad.Peer, 0, 20)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		nearest(dst, targets[i%len(targets)], 20)
	}
}

func BenchmarkNearest(b *testing.B) {
	table, rng := populated(10_000)
	benchmarkNearest(b, rng, table.Nearest)
}

func BenchmarkViewNearest(b *testing.B) {
	table, rng := populated(10_000)
	benchmarkNearest(b, rng, table.View().Nearest)
}

func BenchmarkView(b *testing.B) {
	table, _ := populated(10_000)
	b.ReportAllocs()
	for b.Loop() {
		table.View()
	}
}

func BenchmarkUpdate(b *testing.B) {
	table, _ := populated(10_000)
	var peers []kad.Peer
	for e := range table.Entries {
		peers = append(peers, e.Peer)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now := t0.Add(time.Duration(i))
		table.Add(peers[i%len(peers)], "", now)
		nextProbe(table, time.Hour)
	}
}

// Buckets wider than a sorter, and keys with equal tags, also come in the order that
// brute force gives.
func TestNearestOfMany(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, size := range []int{sortWidth - 1, sortWidth, sortWidth + 1, 100} {
		table := New(kad.Key{}, Config{BucketSize: size})
		var all []kad.Peer
		for i := range 4 * size {
			k := kad.Key{0: byte(rng.IntN(4)) << 6, 30: byte(rng.IntN(256)), 31: byte(i)}
			if i%2 == 0 {
				k[5] = byte(rng.IntN(256))
			}
			p := kad.Peer{ID: kad.PeerID(fmt.Sprint(i)), Key: k}
			if table.Add(p, "", t0) == Added {
				all = append(all, p)
			}
		}
		view := table.View()
		for range 50 {
			target := kad.Key{0: byte(rng.IntN(256)), 5: byte(rng.IntN(256)), 31: byte(rng.IntN(256))}
			slices.SortFunc(all, func(a, b kad.Peer) int { return kad.CompareDistance(&target, &a.Key, &b.Key) })
			n := rng.IntN(len(all) + 2)
			want := all[:min(n, len(all))]
			if got := table.Nearest(nil, target, n); !slices.Equal(got, want) {
				t.Fatalf("size %d: Nearest = %v, want %v", size, got, want)
			}
			if got := view.Nearest(nil, target, n); !slices.Equal(got, want) {
				t.Fatalf("size %d: View.Nearest = %v, want %v", size, got, want)
			}
		}
	}
}

func TestShare(t *testing.T) {
	one := inBucket(0, 1)
	table := New(kad.Key{}, Config{BucketSize: 1, Share: func(p kad.Peer) *kad.Peer {
		if p == one {
			return &one
		}
		return &p
	}})
	mustAdd(t, table, inBucket(0, 1), "", t0, Added)
	mustAdd(t, table, inBucket(0, 2), "", t0, Cached)
	if table.buckets[0].handles[0].peer != &one {
		t.Fatal("the entry is a copy")
	}
}
