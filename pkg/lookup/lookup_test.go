package lookup

import (
	"slices"
	"testing"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// peers returns the peers at the given distances from the zero key.
func peers(distances ...byte) []kad.Peer {
	ps := make([]kad.Peer, len(distances))
	for i, d := range distances {
		ps[i] = kad.Peer{ID: kad.PeerID(rune(d)), Key: kad.Key{31: d}}
	}
	return ps
}

func key(distance byte) kad.Key { return kad.Key{31: distance} }

// ask takes all peers that Next offers and returns their distances.
func ask(l *Lookup) (distances []byte) {
	for {
		p, ok := l.Next()
		if !ok {
			return distances
		}
		distances = append(distances, p.Key[31])
	}
}

func wantAsked(t *testing.T, l *Lookup, want ...byte) {
	t.Helper()
	if got := ask(l); !slices.Equal(got, want) {
		t.Fatalf("asked %v, want %v", got, want)
	}
}

func wantDone(t *testing.T, l *Lookup, want bool) {
	t.Helper()
	if got := l.Done(); got != want {
		t.Fatalf("Done = %v, want %v", got, want)
	}
}

func TestDefaults(t *testing.T) {
	if got, want := New(kad.Key{}, Config{}, nil).cfg, (Config{K: 20, Alpha: 3, MaxAlpha: 10, Beta: 3, MaxPeers: 1000}); got != want {
		t.Fatalf("defaults = %+v, want %+v", got, want)
	}
	got := New(kad.Key{}, Config{K: 5, Alpha: 12, Beta: 9, MaxPeers: 1}, nil).cfg
	if want := (Config{K: 5, Alpha: 12, MaxAlpha: 12, Beta: 5, MaxPeers: 5}); got != want {
		t.Fatalf("config = %+v, want %+v", got, want)
	}
}

// A search that has found nothing asks on beyond the Beta nearest, up to K.
func TestUntil(t *testing.T) {
	l := New(kad.Key{}, Config{K: 4, Alpha: 1, MaxAlpha: 1, Beta: 2}, peers(1, 2, 3, 4, 5))
	l.Until(9)
	for d := byte(1); d <= 3; d++ {
		wantAsked(t, l, d)
		l.Responded(key(d), nil)
		wantDone(t, l, false)
	}
	l.Until(0) // found: the two nearest are enough
	wantDone(t, l, true)
	l.Until(9)
	wantAsked(t, l, 4)
	l.Responded(key(4), nil)
	wantDone(t, l, true)
}

func TestWithoutSeeds(t *testing.T) {
	l := New(key(7), Config{}, nil)
	wantDone(t, l, true)
	wantAsked(t, l)
	if got := l.Closest(nil); len(got) != 0 || l.Target() != key(7) {
		t.Fatalf("Closest = %v", got)
	}
}

func TestNearestFirst(t *testing.T) {
	l := New(kad.Key{}, Config{}, peers(9, 40, 3, 7))
	wantAsked(t, l, 3, 7, 9)
	l.Responded(key(7), peers(2, 3, 50))
	wantAsked(t, l, 2)
	if got := l.Stats(); got.Heard != 6 || got.Asked != 4 || got.Waiting != 3 || got.Responded != 1 {
		t.Fatalf("Stats = %+v", got)
	}
	l.Responded(key(3), nil)
	wantDone(t, l, false)
	l.Responded(key(2), nil)
	wantDone(t, l, true) // 2, 3 and 7; 9 is waiting and farther
	wantAsked(t, l)
	if got := l.Closest(nil); !slices.Equal(got, peers(2, 3, 7)) {
		t.Fatalf("Closest = %v", got)
	}
	if l.Hop(key(7)) != 0 || l.Hop(key(2)) != 1 || l.Hop(key(99)) != -1 || l.Stats().Hops != 1 {
		t.Fatal("hops are wrong")
	}
}

// A waiting peer nearer than the third answer may still name nearer ones.
func TestWaitsForNearerPeer(t *testing.T) {
	l := New(kad.Key{}, Config{Alpha: 4}, peers(1, 2, 3, 4))
	wantAsked(t, l, 1, 2, 3, 4)
	for _, d := range []byte{2, 3, 4} {
		l.Responded(key(d), nil)
	}
	wantDone(t, l, false)
	l.Slow(key(1))
	wantDone(t, l, true) // no longer waited for
}

func TestSlowFreesPlace(t *testing.T) {
	l := New(kad.Key{}, Config{Alpha: 1, MaxAlpha: 1}, peers(1, 2))
	wantAsked(t, l, 1)
	wantAsked(t, l)
	l.Slow(key(1))
	wantAsked(t, l, 2)
	l.Responded(key(2), nil)
	wantDone(t, l, false) // one answer of three: the slow one is worth waiting for
	l.Responded(key(1), peers(3, 4))
	wantAsked(t, l, 3)
	if got := l.Stats(); got.Slow != 0 || got.Responded != 2 {
		t.Fatalf("Stats = %+v", got)
	}
}

func TestFailedMayStillAnswer(t *testing.T) {
	l := New(kad.Key{}, Config{}, peers(1))
	wantAsked(t, l, 1)
	l.Failed(key(1))
	wantDone(t, l, true)
	l.Slow(key(1)) // after its answer: ignored
	l.Responded(key(1), peers(2))
	if got := l.Stats(); got.Failed != 0 || got.Responded != 1 {
		t.Fatalf("Stats = %+v", got)
	}
	wantAsked(t, l, 2)
}

func TestIgnoresStrangers(t *testing.T) {
	l := New(kad.Key{}, Config{}, peers(1, 2))
	l.Responded(key(1), peers(5)) // never asked
	l.Responded(key(9), peers(5)) // never heard of
	l.Failed(key(1))
	l.Slow(key(9))
	wantAsked(t, l, 1, 2)
	l.Responded(key(1), peers(3))
	l.Responded(key(1), peers(4)) // twice
	wantAsked(t, l, 3)
}

func TestAlphaGrowsOnStall(t *testing.T) {
	var seeds []byte
	for d := byte(100); d < 150; d++ {
		seeds = append(seeds, d)
	}
	l := New(kad.Key{}, Config{Beta: 20}, peers(seeds...))
	wantAsked(t, l, 100, 101, 102)
	l.Responded(key(100), peers(200)) // nothing among the 20 nearest
	wantAsked(t, l, 103, 104)
	l.Slow(key(101))
	wantAsked(t, l, 105, 106)
	l.Failed(key(102))
	wantAsked(t, l, 107, 108)
	l.Responded(key(103), peers(1)) // progress: back to 3, and 5 are waiting
	wantAsked(t, l)
	l.Responded(key(104), peers(2))
	l.Responded(key(105), peers(3))
	l.Responded(key(106), peers(4))
	wantAsked(t, l, 1)
}

func TestAlphaIsBounded(t *testing.T) {
	var seeds []byte
	for d := byte(1); d < 60; d++ {
		seeds = append(seeds, d)
	}
	l := New(kad.Key{}, Config{K: 50, Beta: 50}, peers(seeds...))
	ask(l)
	for d := byte(1); d < 20; d++ {
		l.Responded(key(d), nil)
		ask(l)
	}
	if got := l.Stats().Waiting; got != 10 {
		t.Fatalf("%d waiting, want MaxAlpha", got)
	}
}

// Peers beyond Beta do not raise the number asked at once above Alpha.
func TestGrownAlphaIsForTheNearest(t *testing.T) {
	l := New(kad.Key{}, Config{Beta: 2, Alpha: 2}, peers(1, 2, 3, 4, 5, 6))
	wantAsked(t, l, 1, 2)
	l.Responded(key(2), nil)
	wantAsked(t, l, 3) // alpha is 3, but 3 is beyond Beta
	l.Slow(key(1))
	wantAsked(t, l, 4)
	l.Responded(key(1), peers(0x80))
	wantDone(t, l, true)
}

// Peers beyond the K nearest are asked only to replace failed or slow ones.
func TestAsksOnlyTheNearestK(t *testing.T) {
	l := New(kad.Key{}, Config{K: 2, Beta: 2}, peers(1, 2, 3, 4))
	wantAsked(t, l, 1, 2)
	l.Slow(key(1))
	wantAsked(t, l, 3)
	l.Failed(key(2))
	wantAsked(t, l, 4)
	l.Responded(key(1), nil)
	l.Responded(key(3), nil)
	wantDone(t, l, true)
}

// A liar that names a thousand peers cannot grow the shortlist or push out peers that
// were already asked.
func TestMaxPeers(t *testing.T) {
	l := New(kad.Key{}, Config{K: 4, MaxPeers: 6, Alpha: 1, MaxAlpha: 1}, peers(250))
	wantAsked(t, l, 250)
	var lies []byte
	for d := byte(200); d > 100; d-- {
		lies = append(lies, d)
	}
	l.Responded(key(250), peers(lies...))
	if len(l.list) != 6 || l.Hop(key(250)) != 0 || l.Hop(key(101)) != 1 || l.Hop(key(106)) != -1 {
		t.Fatalf("shortlist = %v", l.list)
	}
	if got := l.Stats().Heard; got != 101 {
		t.Fatalf("Heard = %d", got)
	}
}
