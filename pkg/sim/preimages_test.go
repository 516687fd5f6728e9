package sim

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Every prefix of 16 bits has a preimage, and its hash has that prefix.
func TestEveryPrefixHasAPreimage(t *testing.T) {
	p := allPreimages()
	require.Len(t, p.salts, 1<<16)
	for at, salt := range p.salts {
		require.NotZero(t, salt)
		k := kad.KeyOf(preimage(salt))
		require.Equal(t, uint16(at), binary.BigEndian.Uint16(k[:]))
	}
}

// A refresh looks for a key of its bucket. Every key is equally likely.
func TestRandomPreimageIsInThePrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		self := drawKey(t, nil)
		p := kad.BucketPrefix(self, rapid.IntRange(0, kad.KeyBits-1).Draw(t, "cpl"))
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		k := kad.KeyOf(allPreimages().random(rng, p))
		if p.Len() <= kad.MaxPreimageBits {
			require.True(t, p.Contains(&k))
			return
		}
		first := p.First()
		require.GreaterOrEqual(t, kad.CommonPrefixLen(&first, &k), kad.MaxPreimageBits, "cut to 16 bits")
	})
}

func TestRandomPreimagesFillThePrefix(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	p := kad.PrefixOf(kad.Key{0xab, 0x80}, 12)
	got := map[byte]int{}
	for range 1600 {
		k := kad.KeyOf(allPreimages().random(rng, p))
		got[k[1]]++
	}
	require.Len(t, got, 16, "the four bits behind the prefix are free")
	for _, n := range got {
		require.InDelta(t, 100, n, 50)
	}
}

// A preimage looks like the ID of a peer that does not exist.
func TestPreimagesNameNoNode(t *testing.T) {
	w := network(50, ChurnNone)
	for _, salt := range []uint32{1, 77, 1 << 31} {
		_, ok := w.number(kad.PeerID(preimage(salt)))
		require.False(t, ok)
		require.Len(t, preimage(salt), idLen)
	}
}

// keyOf caches, so the test asks for many keys in random order: keys of nodes, keys that
// share a slot of the cache, short keys and keys that begin like a node's.
func TestKeyOfIsTheHash(t *testing.T) {
	w := network(50, ChurnNone)
	like := func(num uint32) []byte { // the ID of a node except for its last byte
		b := []byte(w.peer(num).ID)
		b[idLen-1]++
		return b
	}
	var keys [][]byte
	for i := range uint32(50) {
		keys = append(keys, []byte(w.peer(i).ID), like(i), preimage(i), w.randomKey(), w.randomKey()[:i%idLen])
	}
	for i := range uint32(8) { // one slot of the cache
		k := w.randomKey()
		binary.BigEndian.PutUint16(k[8:], uint16(len(w.keys))*uint16(i)+5)
		twin := bytes.Clone(k)
		twin[idLen-1]++
		keys = append(keys, k, twin)
	}
	for range 3000 {
		k := keys[w.random.work.IntN(len(keys))]
		require.Equal(t, kad.KeyOf(k), w.keyOf(k), "%x", k)
	}
}
