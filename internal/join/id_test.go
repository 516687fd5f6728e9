package join

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// everyID calls f with each of the sixteen IDs.
func everyID(f func(ID)) {
	for id := ID(0); id < ids; id++ {
		f(id)
	}
}

func TestIDs(t *testing.T) {
	texts := map[string]bool{}
	everyID(func(id ID) {
		require.Equal(t, id, idOf(id.peer()), "there and back")
		require.Equal(t, fmt.Sprintf("%04b", id), id.String())
		texts[id.String()] = true
		text, err := json.Marshal(map[string]ID{"id": id})
		require.NoError(t, err)
		require.Equal(t, `{"id":"`+id.String()+`"}`, string(text))
	})
	require.Len(t, texts, 16)
	require.Equal(t, []ID{3, 1}, idsOf([]kad.Peer{ID(3).peer(), ID(1).peer()}))
	require.Equal(t, []ID{}, idsOf(nil), "a list in JSON")
}

// Bucket i of the paper holds the distances from 2^i up to 2^(i+1). The routing table
// numbers the same buckets by the length of the common prefix.
func TestBuckets(t *testing.T) {
	everyID(func(owner ID) {
		require.Equal(t, -1, bucket(owner, owner))
		everyID(func(id ID) {
			if id == owner {
				return
			}
			b := bucket(owner, id)
			distance := int(owner ^ id)
			require.True(t, 1<<b <= distance && distance < 1<<(b+1))
			k1, k2 := owner.key(), id.key()
			require.Equal(t, b, bucketOfCPL(kad.CommonPrefixLen(&k1, &k2)))
		})
	})
}

// firstOf returns the smallest ID of a bucket, randomOf any of them.
func TestIDsOfABucket(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	everyID(func(owner ID) {
		for b := range Bits {
			var in []ID
			everyID(func(id ID) {
				if bucket(owner, id) == b {
					in = append(in, id)
				}
			})
			require.Len(t, in, 1<<b)
			require.Equal(t, in[0], firstOf(owner, b))
			seen := map[ID]bool{}
			for range 200 {
				seen[randomOf(rng, owner, b)] = true
			}
			require.Len(t, seen, len(in), "each of them")
			for id := range seen {
				require.Contains(t, in, id)
			}
		}
	})
}

// truth against all other IDs, sorted by distance.
func TestTruth(t *testing.T) {
	everyID(func(asker ID) {
		everyID(func(target ID) {
			var others []ID
			everyID(func(id ID) {
				if id != asker {
					others = append(others, id)
				}
			})
			slices.SortFunc(others, func(a, b ID) int { return int(a^target) - int(b^target) })
			require.Equal(t, others[:BucketSize], truth(asker, target))
		})
	})
}

// A table is full when each bucket holds as many live nodes as exist there, up to k.
func TestFull(t *testing.T) {
	good := func() *Table { return &Table{Node: 0, Buckets: [Bits][]ID{{1}, {2, 3}, {4, 7}, {8, 15}}} }
	require.True(t, full(good()))
	for name, breaks := range map[string]func(*Table){
		"an empty bucket":    func(t *Table) { t.Buckets[0] = nil },
		"one is missing":     func(t *Table) { t.Buckets[2] = []ID{4} },
		"one too many":       func(t *Table) { t.Buckets[3] = []ID{8, 9, 10} },
		"the same one twice": func(t *Table) { t.Buckets[3] = []ID{8, 8} },
		"its own ID":         func(t *Table) { t.Buckets[0] = []ID{0} },
		"the wrong bucket":   func(t *Table) { t.Buckets[2] = []ID{4, 8} },
		"another's table":    func(t *Table) { t.Node = 5 },
	} {
		x := good()
		breaks(x)
		require.False(t, full(x), name)
	}
}
