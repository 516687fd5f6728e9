package lookup

import (
	"slices"
	"testing"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"pgregory.net/rapid"
)

// known is what the model knows about a peer.
type known struct {
	peer  kad.Peer
	hop   uint16
	state state
}

// model is the dumb second implementation: a map that it sorts for each answer.
type model struct {
	target kad.Key
	cfg    Config
	known  map[kad.Key]*known
	alpha  int
	asked  int
}

func newModel(target kad.Key, cfg Config, seeds []kad.Peer) *model {
	m := &model{target: target, cfg: cfg, known: map[kad.Key]*known{}, alpha: cfg.Alpha}
	for _, p := range seeds {
		m.hear(p, 0)
	}
	return m
}

// sorted returns the known peers that are in none of the states, nearest first.
func (m *model) sorted(except ...state) []*known {
	var cs []*known
	for _, c := range m.known {
		if !slices.Contains(except, c.state) {
			cs = append(cs, c)
		}
	}
	slices.SortFunc(cs, func(a, b *known) int { return kad.CompareDistance(&m.target, &a.peer.Key, &b.peer.Key) })
	return cs
}

func (m *model) in(s state) (n int) {
	for _, c := range m.known {
		if c.state == s {
			n++
		}
	}
	return n
}

func (m *model) hear(p kad.Peer, hop uint16) bool {
	if m.known[p.Key] != nil {
		return false
	}
	c := &known{peer: p, hop: hop}
	m.known[p.Key] = c
	if len(m.known) > m.cfg.MaxPeers {
		unasked := m.sorted(waiting, slow, responded, failed)
		drop := unasked[len(unasked)-1]
		delete(m.known, drop.peer.Key)
	}
	alive := m.sorted(failed)
	return slices.Contains(alive[:min(m.cfg.K, len(alive))], c)
}

func (m *model) done() bool {
	alive := m.sorted(failed, slow)
	for _, c := range alive[:min(m.cfg.Beta, len(alive))] {
		if c.state != responded {
			return false
		}
	}
	return len(alive) >= m.cfg.Beta || m.in(slow) == 0
}

func (m *model) next() (kad.Peer, bool) {
	if m.done() || m.in(waiting) >= m.alpha {
		return kad.Peer{}, false
	}
	alive := m.sorted(failed, slow)
	for i, c := range alive[:min(m.cfg.K, len(alive))] {
		if c.state == heard {
			if i >= m.cfg.Beta && m.in(waiting) >= m.cfg.Alpha {
				break
			}
			c.state = waiting
			m.asked++
			return c.peer, true
		}
	}
	return kad.Peer{}, false
}

func (m *model) report(k kad.Key, to state, closer []kad.Peer, from ...state) {
	c := m.known[k]
	if c == nil || !slices.Contains(from, c.state) {
		return
	}
	c.state = to
	m.alpha = min(m.alpha+1, m.cfg.MaxAlpha)
	for _, p := range closer {
		if m.hear(p, c.hop+1) {
			m.alpha = m.cfg.Alpha
		}
	}
}

func (m *model) closest() (ps []kad.Peer, hops int) {
	for _, c := range m.sorted(heard, waiting, slow, failed) {
		if len(ps) < m.cfg.K {
			ps, hops = append(ps, c.peer), max(hops, int(c.hop))
		}
	}
	return ps, hops
}

// toy returns one of 128 peers: 16 each whose keys begin with the same 8 bytes.
func toy(v int) kad.Peer {
	return kad.Peer{ID: kad.PeerID(rune('0' + v)), Key: kad.Key{0: byte(v>>4) << 5, 20: byte(v&15) << 4}}
}

func toys() *rapid.Generator[[]kad.Peer] {
	return rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 127), toy), 0, 12)
}

func drawConfig(t *rapid.T) Config {
	k := rapid.IntRange(1, 6).Draw(t, "k")
	return Config{
		K: k, Alpha: rapid.IntRange(1, 3).Draw(t, "alpha"), MaxAlpha: rapid.IntRange(3, 6).Draw(t, "max alpha"),
		Beta: rapid.IntRange(1, k).Draw(t, "beta"), MaxPeers: rapid.IntRange(k, 40).Draw(t, "max peers"),
	}
}

// reportBoth tells lookup and model the same event about any peer, asked or not.
func reportBoth(t *rapid.T, l *Lookup, m *model) {
	p := toy(rapid.IntRange(0, 127).Draw(t, "unasked"))
	if asked := m.sorted(heard); len(asked) > 0 && rapid.IntRange(0, 9).Draw(t, "pick") > 0 {
		p = rapid.SampledFrom(asked).Draw(t, "from").peer
	}
	switch rapid.SampledFrom([]state{responded, responded, slow, failed}).Draw(t, "event") {
	case responded:
		closer := toys().Draw(t, "closer")
		l.Responded(p.Key, closer)
		m.report(p.Key, responded, closer, waiting, slow, failed)
	case slow:
		l.Slow(p.Key)
		m.report(p.Key, slow, nil, waiting)
	case failed:
		l.Failed(p.Key)
		m.report(p.Key, failed, nil, waiting, slow)
	}
}

func compare(t *rapid.T, l *Lookup, m *model) {
	if got, want := l.Done(), m.done(); got != want {
		t.Fatalf("Done = %v, want %v", got, want)
	}
	closest, hops := m.closest()
	head := []kad.Peer{{ID: "kept"}}
	if got := l.Closest(head); got[0] != head[0] || !slices.Equal(got[1:], closest) {
		t.Fatalf("Closest = %v, want %v", got, closest)
	}
	got := l.Stats()
	want := Stats{
		Heard: got.Heard, Asked: m.asked, Responded: m.in(responded), Failed: m.in(failed),
		Slow: m.in(slow), Waiting: m.in(waiting), Hops: hops,
	}
	if got != want || got.Heard < len(m.known) {
		t.Fatalf("Stats = %+v, want %+v", got, want)
	}
	if got.Waiting > m.cfg.MaxAlpha || len(l.list) > m.cfg.MaxPeers {
		t.Fatalf("%d waiting, %d in the shortlist", got.Waiting, len(l.list))
	}
	for v := range 128 {
		k, want := toy(v).Key, -1
		if c := m.known[k]; c != nil {
			want = int(c.hop)
		}
		if got := l.Hop(k); got != want {
			t.Fatalf("Hop(%v) = %d, want %d", k, got, want)
		}
	}
}

func againstModel(t *rapid.T) {
	cfg, target, seeds := drawConfig(t), toy(rapid.IntRange(0, 127).Draw(t, "target")).Key, toys().Draw(t, "seeds")
	l := New(target, cfg, seeds)
	cfg = l.cfg
	m := newModel(target, cfg, seeds)
	compare(t, l, m)
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		for range rapid.IntRange(0, 4).Draw(t, "sends") {
			got, ok := l.Next()
			if want, wantOK := m.next(); got != want || ok != wantOK {
				t.Fatalf("Next = %v %v, want %v %v", got, ok, want, wantOK)
			}
		}
		reportBoth(t, l, m)
		compare(t, l, m)
	}
}

func TestAgainstModel(t *testing.T) { rapid.Check(t, againstModel) }

func FuzzAgainstModel(f *testing.F) { f.Fuzz(rapid.MakeFuzz(againstModel)) }
