package sim

import (
	"slices"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// ring is a set of nodes, sorted by key. The ring of all live honest servers is the
// ground truth, which no node of the network knows. It judges the results of lookups and
// fills the tables of a warm start.
type ring struct {
	w     *World
	order []uint32 // nodes, by key
}

func (t *ring) key(i int) *kad.Key { return &t.w.peer(t.order[i]).Key }

// reset rebuilds the ring from all live honest servers.
func (t *ring) reset() {
	t.order = t.order[:0]
	for i := range t.w.nodes {
		if t.w.serves(uint32(i)) {
			t.order = append(t.order, uint32(i))
		}
	}
	slices.SortFunc(t.order, func(a, b uint32) int { return kad.Compare(&t.w.peer(a).Key, &t.w.peer(b).Key) })
}

func (t *ring) add(n uint32) {
	if i, ok := t.search(0, len(t.order), &t.w.peer(n).Key); !ok {
		t.order = slices.Insert(t.order, i, n)
	}
}

func (t *ring) remove(n uint32) {
	if i, ok := t.search(0, len(t.order), &t.w.peer(n).Key); ok {
		t.order = slices.Delete(t.order, i, i+1)
	}
}

// search returns the first place in [lo, hi) whose key is not before k.
func (t *ring) search(lo, hi int, k *kad.Key) (int, bool) {
	i, ok := slices.BinarySearchFunc(t.order[lo:hi], k, func(n uint32, k *kad.Key) int {
		return kad.Compare(&t.w.peer(n).Key, k)
	})
	return lo + i, ok
}

// split returns where to divide the servers at [lo, hi), which share depth bits: the
// first place whose next bit is 1.
func (t *ring) split(lo, hi, depth int) int {
	if lo >= hi {
		return hi
	}
	at := kad.PrefixOf(*t.key(lo), depth).Child(1).First()
	mid, _ := t.search(lo, hi, &at)
	return mid
}

// halves divides the servers at [lo, hi), which share cpl bits with key, into
// those that share exactly as many and those that share more.
func (t *ring) halves(lo, hi, cpl int, key *kad.Key) (apart, near [2]int) {
	mid := t.split(lo, hi, cpl)
	if key.Bit(cpl) == 0 {
		return [2]int{mid, hi}, [2]int{lo, mid}
	}
	return [2]int{lo, mid}, [2]int{mid, hi}
}

// closest appends the n live servers nearest to target that accept allows, nearest first.
func (t *ring) closest(dst []uint32, target *kad.Key, n int, accept func(uint32) bool) []uint32 {
	c := collector{t: t, target: target, limit: len(dst) + n, dst: dst, accept: accept}
	c.walk(0, len(t.order), 0)
	return c.dst
}

// collector walks the keyspace as a tree, nearest branch first.
type collector struct {
	t      *ring
	target *kad.Key
	limit  int
	dst    []uint32
	accept func(uint32) bool
}

// smallRange is the largest range that is sorted instead of divided.
const smallRange = 8

func (c *collector) walk(lo, hi, depth int) {
	if lo >= hi || len(c.dst) >= c.limit {
		return
	}
	if hi-lo <= smallRange || depth >= kad.KeyBits {
		c.take(lo, hi)
		return
	}
	mid := c.t.split(lo, hi, depth)
	if c.target.Bit(depth) == 0 {
		c.walk(lo, mid, depth+1)
		c.walk(mid, hi, depth+1)
		return
	}
	c.walk(mid, hi, depth+1)
	c.walk(lo, mid, depth+1)
}

func (c *collector) take(lo, hi int) {
	var near [smallRange]uint32
	list := append(near[:0], c.t.order[lo:hi]...)
	w := c.t.w
	slices.SortFunc(list, func(a, b uint32) int { return kad.CompareDistance(c.target, &w.peer(a).Key, &w.peer(b).Key) })
	for _, n := range list {
		if len(c.dst) < c.limit && c.accept(n) {
			c.dst = append(c.dst, n)
		}
	}
}
