package kbucket

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"pgregory.net/rapid"
)

// model is the dumb second implementation: flat lists, and counts taken on each call.
type model struct {
	self    kad.Key
	cfg     Config
	entries map[int][]mentry // by CPL, least recently seen first
	spares  map[int][]mentry // by CPL, oldest first
}

type mentry struct {
	peer     kad.Peer
	group    Group
	verified bool
	failures int
	seen     time.Time
	hold     time.Time // no probe earlier
}

func (m *model) cpl(k kad.Key) int { return kad.CommonPrefixLen(&m.self, &k) }

func at(es []mentry, k kad.Key) int {
	return slices.IndexFunc(es, func(e mentry) bool { return e.peer.Key == k })
}

func without(es []mentry, k kad.Key) []mentry {
	return slices.DeleteFunc(slices.Clone(es), func(e mentry) bool { return e.peer.Key == k })
}

func ofGroup(es []mentry, g Group) (n int) {
	for _, e := range es {
		if e.group == g && g != "" {
			n++
		}
	}
	return n
}

// fits says whether group g may have one more peer in bucket cpl if k leaves.
func (m *model) fits(cpl int, g Group, k kad.Key) bool {
	table := 0
	for _, es := range m.entries {
		table += ofGroup(without(es, k), g)
	}
	return table < m.cfg.MaxPerGroup && ofGroup(without(m.entries[cpl], k), g) < m.cfg.MaxPerGroupInBucket
}

// weakest returns the unverified entry with the most failures that ok accepts.
func weakest(es []mentry, ok func(mentry) bool) (kad.Key, bool) {
	best := -1
	for i, e := range es {
		if !e.verified && ok(e) && (best < 0 || e.failures > es[best].failures) {
			best = i
		}
	}
	if best < 0 {
		return kad.Key{}, false
	}
	return es[best].peer.Key, true
}

func (m *model) add(p kad.Peer, g Group, now time.Time) Outcome {
	cpl := m.cpl(p.Key)
	if cpl == kad.KeyBits {
		return Rejected
	}
	es := m.entries[cpl]
	if i := at(es, p.Key); i >= 0 {
		e := mentry{peer: p, group: es[i].group, verified: true, seen: now}
		if m.fits(cpl, g, p.Key) {
			e.group = g
		}
		m.entries[cpl] = append(without(es, p.Key), e)
		return Updated
	}
	if !m.fits(cpl, g, p.Key) && !m.displace(cpl, g) {
		return Rejected
	}
	es = m.entries[cpl]
	if len(es) >= m.cfg.BucketSize {
		if k, ok := weakest(es, func(mentry) bool { return true }); ok {
			es = without(es, k)
		}
	}
	m.spares[cpl] = without(m.spares[cpl], p.Key)
	e := mentry{peer: p, group: g, verified: true, seen: now}
	if len(es) >= m.cfg.BucketSize {
		m.cache(cpl, e)
		return Cached
	}
	m.entries[cpl] = append(slices.Clone(es), e)
	return Added
}

func (m *model) wants(k kad.Key) bool {
	cpl := m.cpl(k)
	es := m.entries[cpl]
	if i := at(es, k); i >= 0 {
		return !es[i].verified
	}
	room := len(es) < m.cfg.BucketSize || slices.ContainsFunc(es, func(e mentry) bool { return !e.verified })
	return k != m.self && (room || len(m.spares[cpl]) < m.cfg.Replacements && at(m.spares[cpl], k) < 0)
}

// displace evicts an unverified peer of g so that bucket cpl can take another.
func (m *model) displace(cpl int, g Group) bool {
	same := func(e mentry) bool { return e.group == g }
	if k, ok := weakest(m.entries[cpl], same); ok {
		m.entries[cpl] = without(m.entries[cpl], k)
		return true
	}
	if len(m.entries[cpl]) >= m.cfg.BucketSize || ofGroup(m.entries[cpl], g) >= m.cfg.MaxPerGroupInBucket {
		return false
	}
	for _, c := range slices.Sorted(maps.Keys(m.entries)) {
		if k, ok := weakest(m.entries[c], same); ok {
			m.entries[c] = without(m.entries[c], k)
			return true
		}
	}
	return false
}

func (m *model) cache(cpl int, e mentry) {
	s := m.spares[cpl]
	if e.group != "" && ofGroup(s, e.group) >= m.cfg.MaxPerGroupInBucket {
		i := slices.IndexFunc(s, func(o mentry) bool { return o.group == e.group })
		s = slices.Delete(slices.Clone(s), i, i+1)
	}
	s = append(slices.Clone(s), e)
	m.spares[cpl] = s[max(0, len(s)-m.cfg.Replacements):]
}

// replace replaces k by the newest spare that fits.
func (m *model) replace(k kad.Key) (kad.Peer, bool) {
	cpl := m.cpl(k)
	for _, s := range slices.Backward(m.spares[cpl]) {
		if m.fits(cpl, s.group, k) {
			m.spares[cpl] = without(m.spares[cpl], s.peer.Key)
			s.verified, s.hold = false, s.seen
			m.entries[cpl] = slices.Clone(m.entries[cpl])
			m.entries[cpl][at(m.entries[cpl], k)] = s
			return s.peer, true
		}
	}
	return kad.Peer{}, false
}

func (m *model) failed(k kad.Key, now time.Time) (kad.Peer, bool) {
	cpl := m.cpl(k)
	m.spares[cpl] = without(m.spares[cpl], k)
	i := at(m.entries[cpl], k)
	if i < 0 {
		return kad.Peer{}, false
	}
	if p, ok := m.replace(k); ok {
		return p, true
	}
	e := &m.entries[cpl][i]
	e.hold = now.Add(time.Minute << min(e.failures, 6))
	e.verified, e.failures = false, e.failures+1
	return kad.Peer{}, false
}

func (m *model) remove(k kad.Key) (kad.Peer, bool) {
	cpl := m.cpl(k)
	m.spares[cpl] = without(m.spares[cpl], k)
	if at(m.entries[cpl], k) < 0 {
		return kad.Peer{}, false
	}
	if p, ok := m.replace(k); ok {
		return p, true
	}
	m.entries[cpl] = without(m.entries[cpl], k)
	return kad.Peer{}, true
}

func (m *model) probing(k kad.Key, now time.Time) {
	if i := at(m.entries[m.cpl(k)], k); i >= 0 {
		m.entries[m.cpl(k)][i].hold = now.Add(time.Minute)
	}
}

// due returns when e should be probed.
func (e mentry) due(every time.Duration) time.Time {
	if seen := e.seen.Add(every); e.verified && seen.After(e.hold) {
		return seen
	}
	return e.hold
}

// all returns the entries in the order of Table.Entries.
func (m *model) all() []mentry {
	var all []mentry
	for _, cpl := range slices.Backward(slices.Sorted(maps.Keys(m.entries))) {
		all = append(all, m.entries[cpl]...)
	}
	return all
}

func (m *model) verified() []kad.Peer {
	var ps []kad.Peer
	for _, e := range m.all() {
		if e.verified {
			ps = append(ps, e.peer)
		}
	}
	return ps
}

// toy returns a peer whose key differs from others in its first 6 bits only.
func toy(v int) kad.Peer {
	return kad.Peer{ID: kad.PeerID(rune('0' + v)), Key: kad.Key{byte(v) << 2}}
}

const probeEvery = 40 * time.Minute

// machine drives a table and its model side by side.
type machine struct {
	t   *Table
	m   *model
	now time.Time
}

func (s *machine) step(t *rapid.T) {
	p := toy(rapid.IntRange(0, 63).Draw(t, "peer"))
	s.now = s.now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "minutes")) * time.Minute)
	switch op := rapid.SampledFrom([]string{"add", "add", "add", "failed", "remove", "probing"}).Draw(t, "op"); op {
	case "add":
		g := rapid.SampledFrom([]Group{"", "a", "b", "c"}).Draw(t, "group")
		if got, want := s.t.Add(p, g, s.now), s.m.add(p, g, s.now); got != want {
			t.Fatalf("Add = %v, want %v", got, want)
		}
	case "failed":
		got, evicted := s.t.Failed(p.Key, s.now)
		want, wantEvicted := s.m.failed(p.Key, s.now)
		if got != want || evicted != wantEvicted {
			t.Fatalf("Failed = %v %v, want %v %v", got, evicted, want, wantEvicted)
		}
	case "remove":
		got, removed := s.t.Remove(p.Key)
		want, wantRemoved := s.m.remove(p.Key)
		if got != want || removed != wantRemoved {
			t.Fatalf("Remove = %v %v, want %v %v", got, removed, want, wantRemoved)
		}
	case "probing":
		s.t.Probing(p.Key, s.now)
		s.m.probing(p.Key, s.now)
	}
}

// compare checks all answers of the table against the model.
func (s *machine) compare(t *rapid.T) {
	all, verified := s.m.all(), s.m.verified()
	i := 0
	for e := range s.t.Entries {
		w := all[i]
		if e.Peer != w.peer || e.Group != w.group || e.Verified != w.verified || !e.LastSeen.Equal(w.seen) || e.CPL != s.m.cpl(w.peer.Key) {
			t.Fatalf("entry %d = %+v, want %+v", i, e, w)
		}
		if got, ok := s.t.Lookup(e.Peer.Key); !ok || got != e {
			t.Fatalf("Lookup = %+v, want %+v", got, e)
		}
		i++
	}
	if n, v := s.t.Len(); n != i || n != len(all) || v != len(verified) {
		t.Fatalf("Len = %d %d, Entries %d, want %d %d", n, v, i, len(all), len(verified))
	}
	for cpl, want := range s.m.spares {
		if len(want) > 0 && !slices.EqualFunc(s.t.buckets[cpl].spares, want, func(a spare, b mentry) bool { return *a.peer == b.peer }) {
			t.Fatalf("spares of bucket %d = %v, want %v", cpl, s.t.buckets[cpl].spares, want)
		}
	}
	for v := range 64 {
		if p := toy(v); s.t.Wants(p.Key) != s.m.wants(p.Key) {
			t.Fatalf("Wants(%q) = %v", p.ID, s.t.Wants(p.Key))
		}
	}
	s.compareProbes(t, all)
	target, n := toy(rapid.IntRange(0, 63).Draw(t, "target")).Key, rapid.IntRange(0, 12).Draw(t, "n")
	checkNearest(t, s.t, verified, target, n)
}

func (s *machine) compareProbes(t *rapid.T, all []mentry) {
	var due []kad.Peer
	var first time.Time
	for _, e := range all {
		if d := e.due(probeEvery); !d.After(s.now) {
			due = append(due, e.peer)
		}
		if d := e.due(probeEvery); first.IsZero() || d.Before(first) {
			first = d
		}
	}
	if got := s.t.ProbeDue(nil, s.now, probeEvery, 1000); !slices.Equal(got, due) {
		t.Fatalf("ProbeDue = %v, want %v", got, due)
	}
	n := min(2, len(due))
	if got := s.t.ProbeDue(nil, s.now, probeEvery, n); !slices.Equal(got, due[:n]) {
		t.Fatalf("ProbeDue = %v, want the first %d of %v", got, n, due)
	}
	got, ok := nextProbe(s.t, probeEvery)
	if ok != (len(all) > 0) || ok && !got.Equal(first) {
		t.Fatalf("next probe %v %v, want %v", got, ok, first)
	}
}

func checkNearest(t *rapid.T, table *Table, verified []kad.Peer, target kad.Key, n int) {
	sorted := slices.Clone(verified)
	slices.SortFunc(sorted, func(a, b kad.Peer) int { return kad.CompareDistance(&target, &a.Key, &b.Key) })
	if len(sorted) > 0 {
		asker := len(sorted) / 4
		others := slices.Delete(slices.Clone(sorted), asker, asker+1)
		if got := table.NearestExcept(nil, target, n, &sorted[asker].Key); !slices.Equal(got, others[:min(n, len(others))]) {
			t.Fatalf("NearestExcept = %v of %v", got, others)
		}
	}
	want := sorted[:min(n, len(sorted))]
	head := []kad.Peer{{ID: "kept"}}
	if got := table.Nearest(head, target, n); got[0] != head[0] || !slices.Equal(got[1:], want) {
		t.Fatalf("Nearest = %v, want %v", got, want)
	}
	if got := table.View().Nearest(head, target, n); got[0] != head[0] || !slices.Equal(got[1:], want) {
		t.Fatalf("View.Nearest = %v, want %v", got, want)
	}
}

func againstModel(t *rapid.T) {
	cfg := Config{
		BucketSize:          rapid.IntRange(1, 5).Draw(t, "bucket size"),
		Replacements:        rapid.IntRange(1, 4).Draw(t, "replacements"),
		MaxPerGroup:         rapid.IntRange(1, 4).Draw(t, "per group"),
		MaxPerGroupInBucket: rapid.IntRange(1, 3).Draw(t, "per group in bucket"),
	}
	self := toy(rapid.IntRange(0, 63).Draw(t, "self")).Key
	s := &machine{
		t: New(self, cfg), now: time.Unix(1e9, 0),
		m: &model{self: self, cfg: cfg, entries: map[int][]mentry{}, spares: map[int][]mentry{}},
	}
	for range rapid.IntRange(1, 120).Draw(t, "steps") {
		before, gen := s.m.verified(), s.t.Generation()
		s.step(t)
		s.compare(t)
		order := func(a, b kad.Peer) int { return kad.Compare(&a.Key, &b.Key) }
		same := slices.Equal(slices.SortedFunc(slices.Values(before), order), slices.SortedFunc(slices.Values(s.m.verified()), order))
		if !same && gen == s.t.Generation() {
			t.Fatal("the verified peers changed, Generation did not")
		}
		if same && gen != s.t.Generation() {
			t.Fatal("Generation changed, the verified peers did not")
		}
	}
}

func TestAgainstModel(t *testing.T) { rapid.Check(t, againstModel) }

func FuzzAgainstModel(f *testing.F) { f.Fuzz(rapid.MakeFuzz(againstModel)) }

// TestNearestAgainstSort uses the real keyspace, tables of any depth, and targets inside
// and outside the populated buckets.
func TestNearestAgainstSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		self := kad.KeyOf([]byte{rapid.Byte().Draw(t, "self")})
		table := New(self, Config{})
		var verified []kad.Peer
		for i := range rapid.IntRange(0, 200).Draw(t, "peers") {
			p := kad.NewPeer(kad.PeerID(rune(i)))
			if rapid.Bool().Draw(t, "near") { // a deep bucket
				copy(p.Key[:], self[:i%30])
			}
			if table.Add(p, "", time.Unix(int64(i), 0)) == Added {
				verified = append(verified, p)
			}
		}
		target := kad.KeyOf([]byte{rapid.Byte().Draw(t, "target")})
		copy(target[:], self[:rapid.SampledFrom([]int{0, 1, 5, 31, 32}).Draw(t, "shared bytes")])
		checkNearest(t, table, verified, target, rapid.IntRange(0, 45).Draw(t, "n"))
	})
}
