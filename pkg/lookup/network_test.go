package lookup

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
)

var at = time.Unix(1e9, 0)

// network is a static world: every peer has a table of the others, dead ones
// included, that never changes.
type network struct {
	rng    *rand.Rand
	peers  []kad.Peer
	tables map[kad.Key]*kbucket.View
	dead   map[kad.Key]bool // never answer
	late   map[kad.Key]bool // answer only after they were reported slow
}

func newNetwork(seed uint64, n int, dead, late float64) *network {
	w := &network{
		rng: rand.New(rand.NewPCG(seed, 0)), tables: map[kad.Key]*kbucket.View{},
		dead: map[kad.Key]bool{}, late: map[kad.Key]bool{},
	}
	for i := range n {
		p := kad.NewPeer(kad.PeerID(fmt.Sprintf("%d/%d", seed, i)))
		w.peers = append(w.peers, p)
		w.dead[p.Key] = w.rng.Float64() < dead
		w.late[p.Key] = w.rng.Float64() < late
	}
	slices.SortFunc(w.peers, func(a, b kad.Peer) int { return kad.Compare(&a.Key, &b.Key) })
	for i, p := range w.peers {
		t := kbucket.New(p.Key, kbucket.Config{})
		for range 200 {
			t.Add(w.peers[w.rng.IntN(n)], "", at)
		}
		for _, q := range w.peers[max(0, i-50):min(n, i+50)] { // it knows its neighbourhood well
			t.Add(q, "", at)
		}
		w.tables[p.Key] = t.View()
	}
	return w
}

// answer returns the closer peers that p names for target.
func (w *network) answer(p, target kad.Key) []kad.Peer { return w.tables[p].Nearest(nil, target, 20) }

// truth returns the n nearest live peers.
func (w *network) truth(target kad.Key, n int) []kad.Peer {
	live := slices.DeleteFunc(slices.Clone(w.peers), func(p kad.Peer) bool { return w.dead[p.Key] })
	slices.SortFunc(live, func(a, b kad.Peer) int { return kad.CompareDistance(&target, &a.Key, &b.Key) })
	return live[:min(n, len(live))]
}

// event is what happens to an asked peer at a virtual time in ms.
type event struct {
	at   int
	peer kad.Key
	kind state // responded, slow or failed
}

// outcome returns what happens to a peer asked at time now: an answer within
// 50 to 250 ms; or slow after 1 s, then an answer or, after 5 s, failure.
func (w *network) outcome(k kad.Key, now int) []event {
	switch {
	case w.dead[k]:
		return []event{{now + 1000, k, slow}, {now + 5000, k, failed}}
	case w.late[k]:
		return []event{{now + 1000, k, slow}, {now + 1000 + w.rng.IntN(3000), k, responded}}
	default:
		return []event{{now + 50 + w.rng.IntN(200), k, responded}}
	}
}

// run drives a lookup to its end and returns how long it took in virtual ms.
func (w *network) run(t *testing.T, target kad.Key, cfg Config) (l *Lookup, now int) {
	from := w.peers[w.rng.IntN(len(w.peers))]
	l = New(target, cfg, w.answer(from.Key, target))
	var events []event
	for !l.Done() {
		for p, ok := l.Next(); ok; p, ok = l.Next() {
			events = append(events, w.outcome(p.Key, now)...)
		}
		if len(events) == 0 {
			t.Fatalf("stuck: not done, nobody to ask, nobody to wait for: %+v", l.Stats())
		}
		slices.SortStableFunc(events, func(a, b event) int { return a.at - b.at })
		e := events[0]
		events, now = events[1:], e.at
		switch e.kind {
		case responded:
			l.Responded(e.peer, w.answer(e.peer, target))
		case slow:
			l.Slow(e.peer)
		case failed:
			l.Failed(e.peer)
		}
	}
	return l, now
}

func recall(got, want []kad.Peer) float64 {
	n := 0
	for _, p := range want {
		if slices.Contains(got, p) {
			n++
		}
	}
	return float64(n) / float64(len(want))
}

func TestRecall(t *testing.T) {
	tests := []struct {
		name       string
		dead, late float64
		beta       int
		recall     float64 // at least, of the true 20
		near       float64 // at least, of the true nearest
		messages   float64 // at most, on average
	}{
		{"all alive, store", 0, 0, 20, 1, 1, 24},
		{"late, store", 0, 0.3, 20, 0.78, 0.85, 32},
		{"15 % dead, store", 0.15, 0, 20, 0.95, 1, 28},
		{"40 % dead, store", 0.4, 0, 20, 0.9, 1, 40},
		{"all alive, find", 0, 0, 3, 0, 1, 10},
		{"40 % dead, find", 0.4, 0, 3, 0, 1, 13},
	}
	const n, lookups, seed = 1000, 60, 7
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newNetwork(seed, n, tt.dead, tt.late)
			found, near, asked, hops, took := 0.0, 0.0, 0, 0, 0
			for i := range lookups {
				target := kad.KeyOf([]byte{byte(i)})
				l, ms := w.run(t, target, Config{Beta: tt.beta})
				took += ms
				found += recall(l.Closest(nil), w.truth(target, 20)) / lookups
				near += recall(l.Closest(nil), w.truth(target, 1)) / lookups
				asked += l.Stats().Asked
				hops += l.Stats().Hops
			}
			messages := float64(asked) / lookups
			t.Logf("seed %d: recall %.3f, of the nearest %.3f, %.1f messages, %.1f hops, %d ms", seed, found, near, messages, float64(hops)/lookups, took/lookups)
			const rounding = 1e-9
			if found < tt.recall-rounding || near < tt.near-rounding || messages > tt.messages {
				t.Errorf("want recall %.3f, of the nearest %.3f, %.1f messages", tt.recall, tt.near, tt.messages)
			}
		})
	}
}

// In a network of at most K peers, the lookup finds every live one.
func TestSmallNetworks(t *testing.T) {
	for n := 1; n <= 20; n++ {
		w := newNetwork(uint64(n), n, 0.2, 0.2)
		target := kad.KeyOf([]byte{byte(n)})
		l, _ := w.run(t, target, Config{Beta: 20})
		for _, p := range l.Closest(nil) {
			if w.dead[p.Key] {
				t.Fatalf("n=%d: a dead peer is among the closest", n)
			}
		}
		if got, want := len(l.Closest(nil)), len(w.truth(target, 20)); got < want-1 { // the asking peer is in nobody's answer to itself
			t.Errorf("n=%d: %d found of %d", n, got, want)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	w := newNetwork(1, 1000, 0, 0)
	target := kad.KeyOf([]byte("target"))
	seeds := w.answer(w.peers[0].Key, target)
	answers := map[kad.Key][]kad.Peer{}
	for _, p := range w.peers {
		answers[p.Key] = w.answer(p.Key, target)
	}
	b.ReportAllocs()
	for b.Loop() {
		l := New(target, Config{Beta: 20}, seeds)
		for !l.Done() {
			p, _ := l.Next()
			l.Responded(p.Key, answers[p.Key])
		}
	}
}
