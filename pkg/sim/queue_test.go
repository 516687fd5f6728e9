package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// requireHeap fails if a parent is due after one of its children, or if place has the
// wrong index for an event.
func requireHeap(t require.TestingT, q *events) {
	for i := 1; i < len(q.heap); i++ {
		require.False(t, q.heap[i].before(&q.heap[(i-1)/4]), "place %d is due before its parent", i)
	}
	placed := 0
	for arg, place := range q.place {
		if place == 0 {
			continue
		}
		placed++
		require.Equal(t, uint32(arg), q.heap[place-1].arg, "event of %d", arg)
	}
	if q.place != nil {
		require.Equal(t, len(q.heap), placed)
	}
}

// The queue against a list that is sorted after every push.
func TestQueueAgainstSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var want []event
		made := uint64(0)
		phases := map[uint64]bool{} // by number
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				at := time.Duration(rapid.IntRange(0, 20).Draw(t, "at"))
				k := kind(rapid.IntRange(0, len(kindNames)-1).Draw(t, "kind"))
				made++
				e := event{at: at, order: made<<8 | uint64(k), arg: uint32(made)}
				if phase := rapid.Bool().Draw(t, "phase"); phase {
					q.pushPhase(at, k, uint32(made))
					phases[made] = true
				} else {
					q.push(at, k, uint32(made))
					e.order |= afterPhases
				}
				want = append(want, e)
				slices.SortStableFunc(want, func(a, b event) int {
					if a.at == b.at && phases[uint64(a.arg)] != phases[uint64(b.arg)] {
						return map[bool]int{true: -1, false: 1}[phases[uint64(a.arg)]]
					}
					return int(a.at - b.at)
				})
			},
			"pop": func(t *rapid.T) {
				if len(want) == 0 {
					t.Skip("empty")
				}
				require.Equal(t, want[0], q.pop())
				want = want[1:]
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(want), q.len())
				at, ok := q.next()
				require.Equal(t, len(want) > 0, ok)
				if ok {
					require.Equal(t, want[0].at, at)
				}
				requireHeap(t, &q.events)
			},
		})
	})
}

// The deadlines against a map that is searched for the first.
func TestWakesAgainstAMap(t *testing.T) {
	node := rapid.Uint32Range(0, 30)
	rapid.Check(t, func(t *rapid.T) {
		var q wakes
		want := map[uint32]time.Duration{}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				n, at := node.Draw(t, "node"), time.Duration(rapid.IntRange(0, 20).Draw(t, "at"))
				q.set(n, at)
				want[n] = at
			},
			"never": func(t *rapid.T) {
				n := node.Draw(t, "node")
				q.set(n, never)
				delete(want, n)
			},
			"remove": func(t *rapid.T) {
				n := node.Draw(t, "node")
				q.remove(n)
				delete(want, n)
			},
			"": func(t *rapid.T) {
				requireHeap(t, &q.events)
				require.Equal(t, len(want), q.len())
				at, ok := q.next()
				require.Equal(t, len(want) > 0, ok)
				if !ok {
					return
				}
				first, due := uint32(0), never
				for n, at := range want {
					if at < due || at == due && n < first {
						first, due = n, at
					}
				}
				require.Equal(t, due, at)
				require.Equal(t, first, q.heap[0].arg, "of those due at once the first node comes first")
			},
		})
	})
}

// An event knows its kind, whatever its number.
func TestEventKind(t *testing.T) {
	require.Len(t, kindNames, int(evSample)+1, "each kind has a name in the trace")
	var q queue
	for k := range kind(len(kindNames)) {
		q.made = 1<<40 + uint64(k)
		q.push(0, k, 7)
		e := q.pop()
		require.Equal(t, k, e.kind())
		require.Equal(t, uint32(7), e.arg)
		require.NotEmpty(t, kindNames[k])
	}
}
