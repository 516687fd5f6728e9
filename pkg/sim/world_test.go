package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// busy is a world with many kinds of events.
func busy(t require.TestingT, seed uint64) *World {
	o := DefaultOptions()
	o.Nodes, o.Seed, o.Churn, o.Loss, o.Clients, o.Check = 40, seed, ChurnWeibull, 0.02, 0.1, true
	o.Warmup, o.Duration = 30*time.Second, time.Minute
	s, err := ParseScenario("busy", "every 2s lookup\nat 1s publish 2\nevery 5s from 5s find\nat 20s restart 0.3 5s\nat 30s partition 0.3\nat 40s heal\nat 50s phase end")
	require.NoError(t, err)
	return New(o, s)
}

// A run depends only on its options: run whole, in slices of any length, or interleaved
// with another world.
func TestARunInSlicesIsTheRun(t *testing.T) {
	whole := busy(t, 1)
	require.NoError(t, whole.Run(nil))
	require.Empty(t, whole.Violations())
	want := whole.Report()

	for _, slice := range []time.Duration{time.Second / 3, time.Second, 17*time.Second + 1} {
		w, other := busy(t, 1), busy(t, 2)
		for w.now < w.End() {
			w.RunUntil(min(w.now+slice, w.End()))
			other.RunUntil(min(other.now+slice/2, other.End()))
		}
		require.Equal(t, want, w.Report(), "slices of %v", slice)
	}
}

// Runs with different seeds differ from their first events on.
func TestSeedsDiffer(t *testing.T) {
	seen := map[uint64]uint64{}
	for _, seed := range []uint64{0, 1, 2, 1 << 40, 1<<64 - 1} {
		w := busy(t, seed)
		w.RunUntil(10 * time.Second)
		other, ok := seen[w.Fingerprint()]
		require.False(t, ok, "seeds %d and %d", other, seed)
		seen[w.Fingerprint()] = seed
	}
}

// The random streams are independent: with loss or churn, every node keeps its ID and its
// region.
func TestStreamsOfChanceAreIndependent(t *testing.T) {
	plain := network(60, ChurnNone)
	o := plain.opts
	o.Loss, o.Churn, o.Clients = 0.1, ChurnWeibull, 0.2
	other := New(o, nil)
	for range 100 {
		other.random.links.Uint64()
		other.random.churn.Uint64()
		other.random.machines.Uint64()
	}
	for i := range plain.nodes {
		require.Equal(t, plain.peer(uint32(i)), other.peer(uint32(i)))
		require.Equal(t, plain.nodes[i].region, other.nodes[i].region)
	}
	require.Equal(t, plain.randomKey(), other.randomKey())

	r := newRandoms(1)
	first := []uint64{r.ids.Uint64(), r.tables.Uint64(), r.links.Uint64(), r.churn.Uint64(), r.work.Uint64(), r.machines.Uint64()}
	slices.Sort(first)
	require.Len(t, slices.Compact(first), 6, "no two streams are the same")
}

// number returns the node of a peer ID, and false for anything else.
func TestNumberOfAPeer(t *testing.T) {
	w := network(300, ChurnNone)
	for i := range uint32(300) {
		id := w.peer(i).ID
		num, ok := w.number(id)
		require.True(t, ok)
		require.Equal(t, i, num)
		require.Equal(t, kad.KeyOf([]byte(id)), w.peer(i).Key)
		for at := range id {
			b := []byte(id)
			b[at] ^= 0x10
			_, ok := w.number(kad.PeerID(b))
			require.False(t, ok, "byte %d of an ID is another", at)
		}
	}
	for _, id := range []kad.PeerID{"", "short", w.peer(3).ID[:33], w.peer(3).ID + "x"} {
		_, ok := w.number(id)
		require.False(t, ok)
	}
}

// Adding nodes beyond the first chunk does not move the peers in it.
func TestPeersNeverMove(t *testing.T) {
	o := DefaultOptions()
	o.Nodes, o.Start = peerChunk-1, StartJoin // no node is up
	w := New(o, nil)
	first := w.peer(7)
	for range 3 {
		w.newNode()
	}
	require.Len(t, w.peers, 2)
	require.Same(t, first, w.peer(7))
	for _, num := range []uint32{peerChunk - 2, peerChunk - 1, peerChunk, peerChunk + 1} {
		got, ok := w.number(w.peer(num).ID)
		require.True(t, ok)
		require.Equal(t, num, got)
	}
}

// Among events at the same time deadlines come last, ordered by node.
func TestDeadlinesComeLast(t *testing.T) {
	w := &World{}
	w.wakes.set(5, 10)
	w.wakes.set(2, 10)
	w.queue.push(10, evSample, 1)
	w.wakes.set(9, 9)
	w.queue.push(10, evSample, 2)
	w.queue.push(11, evSample, 3)
	var got [][2]uint32
	for e, ok := w.pop(10); ok; e, ok = w.pop(10) {
		got = append(got, [2]uint32{uint32(e.kind()), e.arg})
		if e.kind() == evWake {
			w.wakes.remove(e.arg)
		}
	}
	require.Equal(t, [][2]uint32{{uint32(evWake), 9}, {uint32(evSample), 1}, {uint32(evSample), 2}, {uint32(evWake), 2}, {uint32(evWake), 5}}, got)
	e, ok := w.pop(11)
	require.True(t, ok)
	require.Equal(t, uint32(3), e.arg)
}

// A node that is up serves and is woken. A node that is down is not, and loses everything
// except its disk.
func TestTheLifeOfANode(t *testing.T) {
	w := network(30, ChurnNone)
	w.RunUntil(2 * time.Minute)
	n := w.nodes[9]
	store, life := n.store, n.life
	w.lookup()
	w.stop(n)
	require.False(t, n.up() || w.serves(9))
	require.Nil(t, n.ops)
	require.NotContains(t, w.truth.order, uint32(9))
	woken := func() bool { return int(n.num) < len(w.wakes.place) && w.wakes.place[n.num] != 0 }
	require.False(t, woken(), "a node that is down has no deadline")
	w.stop(n)
	w.RunUntil(w.now + time.Minute)
	require.False(t, n.up())

	w.start(n)
	require.True(t, n.up() && w.serves(9) && woken())
	require.Equal(t, life+1, n.life)
	require.Same(t, store, n.store)
	machine := n.machine
	w.start(n)
	require.Same(t, machine, n.machine, "it is up already")
	require.Empty(t, w.Violations())
}

// An answer or a failure for an earlier life of a node changes nothing.
func TestAnEarlierLifeHearsNothing(t *testing.T) {
	w := quiet(30)
	w.ask(w.nodes[3], &op{kind: opLookup}, dht.Query{Kind: dht.FindClosest, Key: w.randomKey()})
	w.stop(w.nodes[3])
	w.start(w.nodes[3])
	w.nodes[3].joining = false
	flying := len(w.calls.list) - len(w.calls.free)
	require.Positive(t, flying)
	for i := range w.calls.list {
		if c := &w.calls.list[i]; c.from == 3 && c.life == 1 {
			require.Empty(t, w.nodes[3].ops)
			if i%2 == 0 {
				w.failed(uint32(i))
			} else {
				w.replied(uint32(i))
			}
		}
	}
	require.Less(t, len(w.calls.list)-len(w.calls.free), flying, "their numbers are free")
}

// A node knows its own addresses and those of the peers in its table.
func TestFindAnswersForTheTable(t *testing.T) {
	w := quiet(200)
	n := w.nodes[3]
	for i := range uint32(200) {
		p, ok := n.Find(w.peer(i).ID, wire.Scope(0))
		require.Equal(t, i == 3 || n.table.Has(w.peer(i).Key), ok)
		if ok {
			require.Equal(t, wire.Peer{ID: w.peer(i).ID, Addrs: w.addrs}, p)
		}
	}
	_, ok := n.Find("nobody", wire.Scope(0))
	require.False(t, ok)
	require.Empty(t, n.Said(nil, w.peer(4).ID, wire.Scope(0)))
}

// Tables share the world's copy of a peer. A peer that is no node is kept as it is.
func TestShareIsTheOneCopy(t *testing.T) {
	w := quiet(30)
	require.Same(t, w.peer(4), w.share(kad.Peer{ID: w.peer(4).ID}))
	invented := kad.NewPeer(kad.PeerID(preimage(1)))
	require.Equal(t, invented, *w.share(invented))
}

// The value of a later version is greater, whatever its key.
func TestLaterVersionsAreNewer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &content{key: rapid.SliceOf(rapid.Byte()).Draw(t, "key"), version: rapid.Uint64Range(0, 1<<60).Draw(t, "version")}
		old := c.bytes()
		c.version += 1 + rapid.Uint64Range(0, 1<<60).Draw(t, "later")
		require.True(t, newer(nil, old, c.bytes()))
		require.False(t, newer(nil, c.bytes(), old))
		require.False(t, newer(nil, old, old))
	})
}
