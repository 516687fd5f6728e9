package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// ringWorld is a world of nodes that have the given keys and are down. Nothing
// happens in it.
func ringWorld(keys []kad.Key) *World {
	w := &World{}
	w.truth.w = w
	for i, k := range keys {
		if i%peerChunk == 0 {
			w.peers = append(w.peers, new([peerChunk]kad.Peer))
		}
		w.nodes = append(w.nodes, &node{w: w, num: uint32(i)})
		*w.peer(uint32(i)) = kad.Peer{Key: k}
	}
	return w
}

// drawKeys draws different keys, many of which share long prefixes.
func drawKeys(t *rapid.T, most int) []kad.Key {
	n := rapid.IntRange(1, most).Draw(t, "nodes")
	keys := []kad.Key{drawKey(t, nil)}
	for len(keys) < n {
		k := drawKey(t, keys)
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// drawKey draws a key. It may be random from some bit on and equal to a given key before.
func drawKey(t *rapid.T, like []kad.Key) (k kad.Key) {
	for i := range 4 {
		k[i] = rapid.Byte().Draw(t, "byte")
	}
	if len(like) == 0 || rapid.Bool().Draw(t, "fresh") {
		return k
	}
	near := like[rapid.IntRange(0, len(like)-1).Draw(t, "like")]
	bit := rapid.IntRange(0, kad.KeyBits-1).Draw(t, "bit")
	near[bit/8] ^= 0x80 >> (bit % 8)
	return near
}

// byDistance sorts nodes by distance. The ring must agree with it.
func byDistance(w *World, nums []uint32, target *kad.Key) []uint32 {
	return slices.SortedFunc(slices.Values(nums), func(a, b uint32) int {
		return kad.CompareDistance(target, &w.peer(a).Key, &w.peer(b).Key)
	})
}

// The ring against a set that is sorted for every query.
func TestRingAgainstASortedSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := drawKeys(t, 60)
		w := ringWorld(keys)
		in := map[uint32]bool{}
		num := rapid.Uint32Range(0, uint32(len(keys)-1))
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				n := num.Draw(t, "node")
				w.truth.add(n)
				in[n] = true
			},
			"remove": func(t *rapid.T) {
				n := num.Draw(t, "node")
				w.truth.remove(n)
				delete(in, n)
			},
			"closest": func(t *rapid.T) {
				target := drawKey(t, keys)
				count := rapid.IntRange(0, 25).Draw(t, "count")
				odd := rapid.Bool().Draw(t, "odd")
				accept := func(n uint32) bool { return !odd || n%2 == 1 }
				want := []uint32{99} // what was there stays
				for _, n := range byDistance(w, w.truth.order, &target) {
					if accept(n) && len(want) < 1+count {
						want = append(want, n)
					}
				}
				require.Equal(t, want, w.truth.closest([]uint32{99}, &target, count, accept))
			},
			"": func(t *rapid.T) {
				require.Len(t, w.truth.order, len(in))
				for i, n := range w.truth.order {
					require.True(t, in[n])
					require.True(t, i == 0 || kad.Compare(w.truth.key(i-1), w.truth.key(i)) < 0, "by key")
				}
			},
		})
	})
}

// halves finds the servers of a bucket by dividing the ring once per bit. Counting common
// bits must give the same.
func TestRingHalves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := drawKeys(t, 60)
		w := ringWorld(keys)
		for i := range keys {
			w.truth.add(uint32(i))
		}
		self := keys[0]
		near := [2]int{0, len(keys)}
		for cpl := 0; cpl < kad.KeyBits && near[1] > near[0]; cpl++ {
			var apart [2]int
			apart, near = w.truth.halves(near[0], near[1], cpl, &self)
			var want, got []uint32
			for n := range keys {
				if kad.CommonPrefixLen(&self, &keys[n]) == cpl {
					want = append(want, uint32(n))
				}
			}
			got = slices.Concat(got, w.truth.order[apart[0]:apart[1]])
			require.ElementsMatch(t, want, got, "bucket %d", cpl)
		}
	})
}

func TestRingSplit(t *testing.T) {
	w := ringWorld([]kad.Key{{0x00}, {0x3f}, {0x40}, {0x7f}, {0x80}})
	w.truth.order = []uint32{0, 1, 2, 3, 4}
	require.Equal(t, 4, w.truth.split(0, 5, 0), "the first bit is 1 at 0x80")
	require.Equal(t, 2, w.truth.split(0, 4, 1), "the second at 0x40")
	require.Equal(t, 2, w.truth.split(0, 2, 1), "no key has it: the end")
	require.Equal(t, 2, w.truth.split(2, 4, 1), "all have it: the start")
	require.Equal(t, 3, w.truth.split(3, 3, 1), "nothing to split")
}

// The ring has exactly the live honest servers, whatever happens to them.
func TestTheTruthIsLiveHonestServers(t *testing.T) {
	o := DefaultOptions()
	o.Nodes, o.Clients = 60, 0.2
	w := New(o, nil)
	requireTruth(t, w)
	require.Len(t, w.truth.order, 48, "clients do not serve")
	for _, step := range []func(){
		func() { w.kill(0.2) },
		func() { w.lie(0.2) },
		func() { w.restart(0.3, 30*time.Second) },
		func() { w.sybils(3, 2) },
		func() { w.RunUntil(15 * time.Second) },
		func() { w.RunUntil(time.Minute) },
		func() { w.start(w.newNode()) },
		func() { w.stop(w.nodes[0]) },
		func() { w.stop(w.nodes[w.liars.order[0]]) },
		func() { w.start(w.nodes[0]) },
	} {
		step()
		requireTruth(t, w)
	}
}

// requireTruth compares the ring with the state of every node.
func requireTruth(t *testing.T, w *World) {
	t.Helper()
	var want, liars []uint32
	for _, n := range w.nodes {
		switch {
		case n.up() && n.evil:
			liars = append(liars, n.num)
		case n.up() && !n.client:
			want = append(want, n.num)
		}
	}
	require.ElementsMatch(t, want, w.truth.order)
	require.ElementsMatch(t, liars, w.liars.order)
}
