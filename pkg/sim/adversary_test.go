package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// An adversary answers each type of request with the adversaries nearest to the key,
// without the asker and without a record.
func TestLiarsNameEachOther(t *testing.T) {
	w := quiet(60)
	w.lie(0.5)
	liar := w.liars.order[0]
	for _, typ := range []wire.Type{wire.FindNode, wire.GetProviders, wire.GetValue} {
		for _, asker := range []uint32{w.truth.order[0], w.liars.order[1]} {
			key := w.randomKey()
			target := kad.KeyOf(key)
			c := answerOf(t, w, liar, asker, &wire.Message{Type: typ, Key: key})
			var want []kad.Peer
			for _, num := range byDistance(w, w.liars.order, &target) {
				if num != asker && len(want) < 20 {
					want = append(want, *w.peer(num))
				}
			}
			require.Equal(t, want, c.answer.closer, "%v of %d", typ, asker)
			require.Nil(t, c.answer.msg.Record)
			require.Empty(t, c.answer.msg.ProviderPeers)
			require.False(t, c.answer.none)
			require.Equal(t, w.sizeOf(&wire.Message{Type: typ, Key: key}, len(want)), c.answer.size)
		}
	}
}

// An adversary accepts records like an honest server, and stores none.
func TestLiarsSwallow(t *testing.T) {
	w := quiet(30)
	n := w.nodes[10]
	w.turn(n)
	key := w.randomKey()
	record := &wire.Record{Key: key, Value: []byte("v")}
	put := answerOf(t, w, 10, 3, &wire.Message{Type: wire.PutValue, Key: key, Record: record})
	require.Equal(t, record, put.answer.msg.Record, "the echo")
	require.Empty(t, put.answer.closer)
	_, err := n.store.Value(w.clock, key)
	require.Error(t, err)

	add := answerOf(t, w, 10, 3, &wire.Message{Type: wire.AddProvider, Key: key})
	require.True(t, add.answer.none, "ADD_PROVIDER has no answer")
	require.Zero(t, add.answer.size)
	get := answerOf(t, w, 10, 3, &wire.Message{Type: wire.GetProviders, Key: key})
	require.Empty(t, get.answer.msg.ProviderPeers)
}

// A reused answer contains nothing of its previous use.
func TestLiarsForgetTheLastAnswer(t *testing.T) {
	w := quiet(30)
	w.turn(w.nodes[10])
	put := answerOf(t, w, 10, 3, &wire.Message{Type: wire.PutValue, Key: []byte("k"), Record: &wire.Record{}})
	i := w.calls.add(*put)
	w.calls.remove(i)
	c := answerOf(t, w, 10, 3, &wire.Message{Type: wire.AddProvider, Key: []byte("k")})
	require.Same(t, put.answer, c.answer)
	require.True(t, c.answer.none)
	require.Nil(t, c.answer.msg.Record)

	w.lie(1)
	ask := func() *call { return answerOf(t, w, 10, 3, &wire.Message{Type: wire.FindNode, Key: []byte("k")}) }
	find := ask()
	require.False(t, find.answer.none)
	named := len(find.answer.closer)
	require.Equal(t, 20, named)
	w.calls.remove(w.calls.add(*find))
	again := ask()
	require.Same(t, find.answer, again.answer)
	require.Len(t, again.answer.closer, named, "no peer of the last one")
}

// Sybils are nearer to their key than honest servers are likely to be: at most one key in
// four has an honest server as near. Each ID has the number of its node.
func TestSybilsAreNearest(t *testing.T) {
	for _, nodes := range []int{10, 100, 1000} {
		w := quiet(nodes)
		const keys = 200
		w.sybils(2, keys)
		require.Len(t, w.nodes, nodes+2*keys)
		require.Len(t, w.besieged, keys)
		require.Len(t, w.liars.order, 2*keys)
		asNear := 0
		for i, c := range w.besieged {
			cpl := kad.KeyBits
			for num := uint32(nodes + 2*i); num < uint32(nodes+2*i+2); num++ {
				n, p := w.nodes[num], w.peer(num)
				require.True(t, n.up() && n.evil && n.stable)
				back, ok := w.number(p.ID)
				require.True(t, ok)
				require.Equal(t, num, back)
				require.Equal(t, kad.KeyOf([]byte(p.ID)), p.Key)
				cpl = min(cpl, kad.CommonPrefixLen(&c.at, &p.Key))
			}
			honest := w.truth.closest(nil, &c.at, 1, func(uint32) bool { return true })[0]
			if kad.CommonPrefixLen(&c.at, &w.peer(honest).Key) >= cpl {
				asNear++
			}
		}
		require.LessOrEqual(t, asNear, keys/4, "%d servers", nodes)
	}
}

// The keys that Sybils surround are provided next, in the same order, as values or as
// providers.
func TestSybilsWaitForWhatIsProvidedNext(t *testing.T) {
	w := quiet(30)
	w.sybils(1, 2)
	first, second := w.besieged[0], w.besieged[1]
	require.Same(t, first, w.nextContent(true))
	require.True(t, first.value)
	require.Same(t, second, w.nextContent(false))
	require.False(t, second.value)
	third := w.nextContent(false)
	require.NotEqual(t, first.at, third.at)
	require.NotEqual(t, second.at, third.at)
}

// Without a defence the record goes to the Sybils, and no lookup finds it.
func TestSybilsSwallowWhatTheyWaitFor(t *testing.T) {
	w := quiet(100)
	w.sybils(45, 1)
	w.RunUntil(2 * time.Minute)
	c := w.nextContent(false)
	w.provideBy(w.nodes[5], c, false)
	w.RunUntil(3 * time.Minute)
	require.Equal(t, []*content{c}, w.ready, "publishing it succeeded")
	require.Less(t, len(c.holders), 3)
}
