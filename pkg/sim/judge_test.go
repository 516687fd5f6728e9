package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// measureByHand is measureTable without the ring: it reads every entry and, for each
// bucket, every node of the world.
func measureByHand(w *World, n *node) (peers int, stale, complete share) {
	alive := map[int]int{}
	n.table.Entries(func(e kbucket.Entry) bool {
		peers++
		num, _ := w.number(e.Peer.ID)
		other := w.nodes[num]
		ok := other.up() && !other.client && !other.evil && other.side == n.side
		if ok {
			alive[e.CPL]++
		}
		if e.Verified {
			stale.whole++
			if !ok {
				stale.part++
			}
		}
		return true
	})
	can := map[int]int{}
	self := w.peer(n.num).Key
	for _, other := range w.nodes {
		if other != n && other.up() && !other.client && !other.evil && other.side == n.side {
			can[kad.CommonPrefixLen(&self, &w.peer(other.num).Key)]++
		}
	}
	for cpl, there := range can {
		there = min(there, w.opts.Protocol.K)
		complete.add(min(alive[cpl], there), there)
	}
	return peers, stale, complete
}

// measureTable, which halves the ring, agrees with measureByHand, whatever has happened
// to the network.
func TestMeasureTableByHand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := DefaultOptions()
		o.Nodes, o.Clients, o.Seed = rapid.IntRange(5, 80).Draw(t, "nodes"), 0.1, rapid.Uint64().Draw(t, "seed")
		o.Protocol.K = rapid.IntRange(1, 20).Draw(t, "k")
		w := New(o, nil)
		for _, action := range rapid.SliceOfN(rapid.SampledFrom([]string{"kill 0.3", "lie 0.2", "partition 0.4", "heal", "restart 0.3"}), 0, 3).Draw(t, "actions") {
			do(t, w, action)
		}
		for _, num := range w.truth.order {
			var got tableStats
			w.measureTable(w.nodes[num], &got)
			peers, stale, complete := measureByHand(w, w.nodes[num])
			require.Equal(t, int64(peers), got.peers.sum)
			require.Equal(t, stale, got.stale)
			require.Equal(t, complete, got.complete)
		}
	})
}

// A holder counts while it is up and honest and the record has not expired.
func TestHoldersOfARecord(t *testing.T) {
	w := quiet(30)
	c := w.newContent(false)
	w.track(c)
	w.track(c)
	require.Len(t, w.tracked, 1, "a content is followed once")
	for num := range uint32(5) {
		w.stored(w.nodes[num], c.key, time.Duration(num+1)*time.Hour)
	}
	w.stored(w.nodes[9], []byte("a key that nobody follows"), time.Hour)
	count := func() (live int64, lost int) {
		var p phase
		w.measureRecords(&p)
		require.Equal(t, 1, p.records.contents)
		return p.records.holders.sum, p.records.lost
	}
	expect := func(live int64, lost int) {
		t.Helper()
		gotLive, gotLost := count()
		require.Equal(t, live, gotLive)
		require.Equal(t, lost, gotLost)
	}
	expect(5, 0)
	w.setNow(time.Hour)
	expect(4, 0) // that of node 0 has expired
	require.Equal(t, 3, w.holding(c, []uint32{0, 2, 3, 4, 9}), "of these")
	w.stop(w.nodes[1])
	expect(3, 0)
	w.turn(w.nodes[2])
	expect(2, 0)
	w.stored(w.nodes[3], c.key, 10*time.Hour)
	require.Len(t, c.holders, 4, "it is republished, and expired holders are removed")
	w.stop(w.nodes[3])
	w.stop(w.nodes[4])
	expect(0, 1) // not expired, and no node serves it
	w.start(w.nodes[4])
	expect(1, 0) // its disk has it
	w.setNow(10 * time.Hour)
	expect(0, 0) // an expired record is not lost
}

// The goal of each operation, and results that miss it.
func TestSucceeded(t *testing.T) {
	w := quiet(30)
	target := kad.KeyOf([]byte("target"))
	truth := w.truth.closest(nil, &target, 20, func(uint32) bool { return true })
	first, second := *w.peer(truth[0]), *w.peer(truth[1])
	stranger := kad.NewPeer(kad.PeerID(preimage(1)))
	c := &content{key: []byte("k"), value: true, version: 7}
	value := func(b []byte) dht.Result { return dht.Result{Value: records.Value{Value: b}} }
	closest := func(ps ...kad.Peer) dht.Result { return dht.Result{Closest: ps} }
	stored := func(n int) dht.Result { return dht.Result{Stats: dht.QueryStats{StoredAt: n}} }
	for _, tt := range []struct {
		kind   opKind
		first  time.Duration
		result dht.Result
		want   bool
	}{
		{kind: opLookup, result: closest(first, second), want: true},
		{kind: opSeek, result: closest(first), want: true},
		{kind: opLookup, result: closest(second, first)},
		{kind: opLookup, result: closest(stranger, first)},
		{kind: opLookup},
		{kind: opProvide, result: stored(1), want: true},
		{kind: opPut, result: stored(20), want: true},
		{kind: opProvide, result: stored(0)},
		{kind: opGet, result: value(c.bytes()), want: true},
		{kind: opGet, result: value((&content{key: []byte("k"), version: 6}).bytes())},
		{kind: opGet, result: value(nil)},
		{kind: opFind, first: 0, want: true},
		{kind: opFind, first: -1},
	} {
		o := &op{kind: tt.kind, first: tt.first, target: target, content: c}
		require.Equal(t, tt.want, w.succeeded(o, &tt.result, truth), "%s %+v", opNames[tt.kind], tt)
	}
	r := closest(first)
	require.False(t, w.succeeded(&op{kind: opLookup}, &r, nil), "there is no peer to find")

	r = closest(first, stranger, second)
	require.Equal(t, 2, w.among(&r, truth))
	require.Equal(t, 1, w.among(&r, truth[1:]))
}

// An operation is compared with the network at its end, and counts for the phase in which
// it began.
func TestJudge(t *testing.T) {
	w := quiet(30)
	began := w.phase
	c := w.newContent(false)
	o := &op{kind: opProvide, phase: began, target: c.at, content: c, first: -1, firstHop: -1, messages: 40, rounds: 3}
	w.setNow(90 * time.Millisecond)
	w.beginPhase("later")
	n := w.nodes[0]
	truth := w.nearest(n, &c.at)
	r := &dht.Result{Stats: dht.QueryStats{StoredAt: 19, Hops: 2}}
	for _, num := range truth[:15] {
		r.Closest = append(r.Closest, *w.peer(num))
	}
	w.judge(n, o, r)
	s := &began.ops[opProvide]
	require.Equal(t, [4]int{1, 1, 0, 0}, [4]int{s.count, s.succeeded, s.refused, s.failed})
	require.Equal(t, int64(90_000), s.took.sum)
	require.Equal(t, []int64{40}, s.messages.list)
	require.Equal(t, []int64{3}, s.rounds.list)
	require.Equal(t, []int64{2}, s.hops.list)
	require.Equal(t, share{15, 20}, s.recall)
	require.Equal(t, share{}, s.overlap)
	require.Empty(t, s.first.list, "no record came")
	require.Empty(t, s.firstHop.list, "none of the closest was named")
	require.Equal(t, []*content{c}, w.ready)

	find := &op{kind: opFind, phase: w.phase, target: c.at, content: c, first: 50 * time.Millisecond, firstHop: 1}
	w.track(c)
	w.stored(w.nodes[truth[0]], c.key, time.Hour)
	w.judge(n, find, &dht.Result{Stats: dht.QueryStats{Outcome: dht.OutcomeFailed}})
	s = &w.phase.ops[opFind]
	require.Equal(t, 1, s.failed)
	require.Equal(t, share{1, 20}, s.overlap)
	require.Equal(t, share{}, s.recall)
	require.Equal(t, []int64{50_000}, s.first.list)
	require.Equal(t, []int64{1}, s.firstHop.list)
	require.Len(t, w.ready, 1, "only what was stored is ready")
}

// A peer is as many hops away as the shortest chain of answers that named it.
func TestHeard(t *testing.T) {
	w := quiet(30)
	o := &op{hops: map[uint32]int{}, nearest: []uint32{4, 5}, firstHop: -1}
	w.heard(o, []kad.Peer{*w.peer(1), *w.peer(2)}, 0)
	require.Equal(t, -1, o.firstHop)
	w.heard(o, []kad.Peer{*w.peer(2), *w.peer(5), kad.NewPeer(kad.PeerID(preimage(3)))}, 1)
	w.heard(o, []kad.Peer{*w.peer(4), *w.peer(5)}, 2)
	require.Equal(t, map[uint32]int{1: 0, 2: 0, 5: 1, 4: 2}, o.hops)
	require.Equal(t, 1, o.firstHop)
}
