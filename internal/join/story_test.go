package join

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/internal/disktest"
)

// requireTables fails if a table holds its own node, a peer in the wrong bucket or twice,
// or more than k peers in a bucket.
func requireTables(t require.TestingT, w *network) {
	for _, n := range w.nodes {
		if n == nil {
			continue
		}
		x := n.export()
		seen := map[ID]bool{n.id: true}
		connected := true
		for b, peers := range x.Buckets {
			require.LessOrEqual(t, len(peers), BucketSize)
			connected = connected && len(peers) > 0
			for _, p := range peers {
				require.False(t, seen[p])
				seen[p] = true
				require.Equal(t, b, bucket(n.id, p))
			}
		}
		require.Equal(t, connected, x.Connected)
	}
}

// told is what the steps so far say about a lookup.
type told struct {
	target ID
	known  []ID // heard of
	done   map[ID]State
	asked  *ID
	best   *ID
}

// requireToldRight replays the steps: each must follow from the steps before it.
func requireToldRight(t require.TestingT, w *network) {
	lookups := map[string]*told{}
	for i := range w.steps {
		s := &w.steps[i]
		l := lookups[s.Who]
		switch s.Kind {
		case Lookup:
			lookups[s.Who] = &told{target: s.Target, known: slices.Clone(s.Peers), done: map[ID]State{}}
		case Dial:
			require.Contains(t, l.known, s.Peer, "a lookup asks peers that it has heard of")
			require.NotContains(t, l.done, s.Peer, "and once")
			l.asked = &s.Peer
		case Silence:
			require.Equal(t, *l.asked, s.Peer)
			require.Nil(t, w.nodes[s.Peer], "a live node answers")
			l.done[s.Peer] = failed
		case Answer:
			lookups[w.nodes[s.Peer].name].answered(t, s)
		case Shortlist:
			require.Equal(t, l.entries(), s.Entries)
		case NewClosest:
			require.Equal(t, responded, l.done[s.Peer])
			require.True(t, l.best == nil || s.Peer^l.target < *l.best^l.target, "nearer than the last one")
			l.best = &s.Peer
		case Closest:
			require.Equal(t, l.closest(), append([]ID(nil), s.Peers...), "the nearest that have answered")
		}
	}
}

// answered records an answer to the lookup.
func (l *told) answered(t require.TestingT, s *Step) {
	require.LessOrEqual(t, len(s.Peers), BucketSize)
	require.NotContains(t, s.Peers, s.Peer, "no answer names its sender")
	require.True(t, slices.IsSortedFunc(s.Peers, l.nearer))
	require.Equal(t, l.target, s.Target)
	l.done[*l.asked] = responded
	l.known = append(l.known, s.Peers...)
}

func (l *told) nearer(a, b ID) int { return int(a^l.target) - int(b^l.target) }

// entries is the shortlist that follows from the steps.
func (l *told) entries() (want []Entry) {
	slices.SortFunc(l.known, l.nearer)
	for _, p := range slices.Compact(slices.Clone(l.known)) {
		state, ok := l.done[p]
		if !ok {
			state = heard
		}
		want = append(want, Entry{Peer: p, State: state})
	}
	return want
}

// closest is the result that follows from the steps.
func (l *told) closest() (want []ID) {
	for _, e := range l.entries() {
		if e.State == responded && len(want) < BucketSize {
			want = append(want, e.Peer)
		}
	}
	return want
}

// In any network, with any contacts that have left, the steps are correct and the tables
// are valid.
func TestAnyStoryIsTrue(t *testing.T) {
	anyID := rapid.Custom(func(t *rapid.T) ID { return ID(rapid.IntRange(0, ids-1).Draw(t, "id")) })
	rapid.Check(t, func(t *rapid.T) {
		w := newNetwork()
		var there []*node
		for _, id := range rapid.SliceOfNDistinct(anyID, 1, 8, rapid.ID).Draw(t, "nodes") {
			contacts := slices.DeleteFunc(rapid.SliceOfN(anyID, 0, 5).Draw(t, "contacts"), func(c ID) bool { return c == id })
			there = append(there, w.enter(id, id.String(), contacts...))
		}
		for range rapid.IntRange(1, 6).Draw(t, "lookups") {
			n := rapid.SampledFrom(there).Draw(t, "who")
			w.steps = nil
			found := w.find(n, anyID.Draw(t, "target"))
			requireToldRight(t, w)
			requireTables(t, w)
			require.NotContains(t, found, n.id)
			for _, id := range found {
				require.NotNil(t, w.nodes[id])
			}
		}
	})
}

// The steps of Story and AllAlive are correct too.
func TestThePrintedStoriesAreTrue(t *testing.T) {
	w := newNetwork()
	w.joinAll(rand.New(rand.NewPCG(1, 0)))
	requireToldRight(t, w)
	requireTables(t, w)
	r := Story()
	w = newNetwork()
	for _, x := range r.Before {
		w.enter(x.Node, x.Name)
	}
	w.steps = r.Steps
	requireToldRight(t, w)
}

// Every node except the first joins once, and seeds give different orders.
func TestOrders(t *testing.T) {
	orders := map[string]bool{}
	for seed := range uint64(20) {
		order := AllAlive(seed).Order
		require.Equal(t, bob, order[0])
		orders[list(order)] = true
		slices.Sort(order)
		require.Len(t, slices.Compact(order), ids)
	}
	require.Len(t, orders, 20)
}

// The shortlist against a list that is sorted for every query.
func TestShortlistAgainstASort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := ID(rapid.IntRange(0, ids-1).Draw(t, "target"))
		s := shortlist{target: target}
		want := map[ID]State{}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			id := ID(rapid.IntRange(0, ids-1).Draw(t, "id"))
			if rapid.Bool().Draw(t, "hear") {
				s.hear([]ID{id, id})
				if _, ok := want[id]; !ok {
					want[id] = heard
				}
				continue
			}
			state := rapid.SampledFrom([]State{responded, failed}).Draw(t, "state")
			s.set(id, state)
			if _, ok := want[id]; ok {
				want[id] = state
			}
		}
		var entries []Entry
		for d := ID(0); d < ids; d++ {
			if state, ok := want[target^d]; ok {
				entries = append(entries, Entry{Peer: target ^ d, State: state})
			}
		}
		require.Equal(t, entries, s.entries)
		best, ok := s.closest()
		i := slices.IndexFunc(entries, func(e Entry) bool { return e.State == responded })
		require.Equal(t, i >= 0, ok)
		if ok {
			require.Equal(t, entries[i].Peer, best)
		}
	})
}

// Every kind of step has a line of text, and its JSON has the names of its kind and
// states.
func TestEveryKindOfStepIsPrinted(t *testing.T) {
	for kind, want := range map[Kind]string{
		Lookup:     "[Bob]     looks for 0101, starts at 0011 1000",
		Candidate:  "[Bob]     candidate 0110",
		Dial:       "[Bob]     dials 0110",
		Silence:    "[Bob]     no answer from 0110",
		Answer:     "[Bob]     answers 0110: nearest to 0101 are 0011 1000",
		Added:      "[Bob]     bucket 2: 0110 added",
		Shortlist:  "[Bob]     shortlist 0001 0010+ 0011-",
		NewClosest: "[Bob]     new closest 0110",
		Closest:    "[Bob]     closest to 0101: 0011 1000",
		Refresh:    "\n[Bob]     refreshes bucket 2, target 0101",
	} {
		s := Step{
			Who: "Bob", Kind: kind, Target: 5, Peer: 6, Peers: []ID{3, 8}, Bucket: 2, Outcome: "added",
			Entries: []Entry{{1, heard}, {2, responded}, {3, failed}},
		}
		var out strings.Builder
		p := printer{w: &out}
		p.step(&s)
		require.Equal(t, want+"\n", out.String())
		text, err := json.Marshal(s)
		require.NoError(t, err)
		require.Contains(t, string(text), `"kind":"`+string(kind)+`"`)
		require.Contains(t, string(text), `{"peer":"0010","state":"responded"}`)
	}
}

// Wherever the disk fills up, printing returns the error.
func TestPrintOnAFullDisk(t *testing.T) {
	story, alive := Story(), AllAlive(1)
	disktest.RequireError(t, story.Print, alive.Print)
}
