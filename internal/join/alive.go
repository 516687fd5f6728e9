package join

import (
	"math/rand/v2"
	"slices"
)

// AliveReport is the result of all sixteen nodes joining.
type AliveReport struct {
	Seed   uint64  `json:"seed"`
	Order  []ID    `json:"order"`  // in which they joined
	Tables []Table `json:"tables"` // after one round of refreshes
	// Full counts the nodes whose buckets hold exactly 1, 2, 2 and 2 others.
	Full int `json:"full"`
	// Exact counts, of 256 lookups (each node looks for each ID), those that
	// found the two nearest.
	Exact   int `json:"exact"`
	Lookups int `json:"lookups"`
}

// AllAlive has fifteen nodes join through 0110, in an order that depends on seed. Then
// every node refreshes all its buckets once, and looks up every ID.
func AllAlive(seed uint64) AliveReport {
	w := newNetwork()
	rng := rand.New(rand.NewPCG(seed, 0))
	r := AliveReport{Seed: seed, Order: w.joinAll(rng)}
	for _, i := range rng.Perm(ids) {
		w.refreshAll(w.nodes[i], rng)
	}
	for _, n := range w.nodes {
		t := n.export()
		r.Tables = append(r.Tables, t)
		if full(&t) {
			r.Full++
		}
	}
	w.lookups(&r)
	return r
}

// joinAll starts 0110, and then the others, which join through it.
func (w *network) joinAll(rng *rand.Rand) (order []ID) {
	w.enter(bob, bob.String())
	order = append(order, bob)
	for _, i := range rng.Perm(ids) {
		id := ID(i)
		if id == bob {
			continue
		}
		n := w.enter(id, id.String())
		w.find(n, id, bob)
		w.refreshBeyond(n, func(b int) ID { return randomOf(rng, id, b) })
		order = append(order, id)
	}
	return order
}

// refreshAll is one refresh of a node: first its own ID, then every bucket.
func (w *network) refreshAll(n *node, rng *rand.Rand) {
	w.find(n, n.id)
	for b := range Bits {
		w.refresh(n, b, randomOf(rng, n.id, b))
	}
}

// randomOf returns a random ID of a bucket of owner.
func randomOf(rng *rand.Rand, owner ID, bucket int) ID {
	return firstOf(owner, bucket) | ID(rng.IntN(1<<bucket))
}

// full reports whether a table holds what sixteen live nodes allow: one other node in
// bucket 0, and k of the 2, 4 and 8 nodes of the farther buckets.
func full(t *Table) bool {
	seen := map[ID]bool{t.Node: true}
	for b, peers := range t.Buckets {
		if len(peers) != min(1<<b, BucketSize) {
			return false
		}
		for _, p := range peers {
			if seen[p] || bucket(t.Node, p) != b {
				return false
			}
			seen[p] = true
		}
	}
	return true
}

// lookups has each node look for each ID, and counts the lookups that found the two
// nearest.
func (w *network) lookups(r *AliveReport) {
	for _, n := range w.nodes {
		for target := ID(0); target < ids; target++ {
			r.Lookups++
			if slices.Equal(w.find(n, target), truth(n.id, target)) {
				r.Exact++
			}
		}
	}
}

// truth returns the k IDs nearest to target, without the asker.
func truth(asker, target ID) []ID {
	var out []ID
	for d := ID(0); len(out) < BucketSize; d++ {
		if id := target ^ d; id != asker {
			out = append(out, id)
		}
	}
	return out
}
