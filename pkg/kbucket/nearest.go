package kbucket

import "github.com/holdfast-dht/holdfast/pkg/kad"

// walk visits buckets in order of their distance to a target. Every bucket is a
// subtree, so its peers are either all nearer or all farther than those of another
// bucket. Of the buckets i and above, bucket i is the nearest if the target differs
// from the node's own key in bit i, and the farthest if not.
type walk struct {
	diff kad.Key // XOR of target and self
	n    int     // number of buckets
	i    int     // next bucket
	back bool    // on the way back, through the buckets whose bit is equal
}

func walkTo(target, self *kad.Key, n int) walk {
	return walk{diff: kad.Distance(target, self), n: n}
}

// next returns the next bucket, or -1.
func (w *walk) next() int {
	for ; !w.back && w.i < w.n; w.i++ {
		if w.diff.Bit(w.i) == 1 {
			w.i++
			return w.i - 1
		}
	}
	w.back = true
	for w.i > 0 {
		w.i--
		if w.diff.Bit(w.i) == 0 {
			return w.i
		}
	}
	return -1
}

// sortWidth is how many peers a sorter takes: one and a half buckets of the usual size.
// It compares only the first bits of their distances.
const sortWidth = 1 << placeBits

// placeBits is the width of an index in a word of the sorter.
const placeBits = 5

// sorter sorts the peers of one bucket by distance to a target. Each peer is one word,
// which insertion moves fast: the first bits of its distance, and in the last placeBits
// its index in the bucket.
type sorter struct {
	tag  uint64 // of the target
	n    int
	list [sortWidth + 1]uint64
}

// add inserts the peer at an index and keeps the nearest `keep` peers plus one.
func (s *sorter) add(tag uint64, place, keep int) {
	x := (tag^s.tag)&^(sortWidth-1) | uint64(place)
	i := s.n
	if i > keep {
		i--
		if x > s.list[i] {
			return
		}
	} else {
		s.n++
	}
	for ; i > 0 && x < s.list[i-1]; i-- {
		s.list[i] = s.list[i-1]
	}
	s.list[i] = x
}

// drain returns the nearest `keep` peers and empties the sorter. The order is not sure
// if two of them, or the last one and the next, are equal in the bits kept.
func (s *sorter) drain(keep int) (nearest []uint64, sure bool) {
	list := s.list[:s.n]
	s.n = 0
	for i := 1; i < len(list); i++ {
		if list[i]^list[i-1] < sortWidth {
			return nil, false
		}
	}
	return list[:min(len(list), keep)], true
}

// placeOf returns the index in a word of a sorter.
func placeOf(x uint64) int { return int(x & (sortWidth - 1)) }

// place inserts p into dst[from:], which is sorted by distance to target, and
// keeps at most limit peers in dst.
func place(dst []kad.Peer, from, limit int, target *kad.Key, p *kad.Peer) []kad.Peer {
	if len(dst) < limit {
		dst = append(dst, *p)
	} else if kad.CompareDistance(target, &p.Key, &dst[len(dst)-1].Key) >= 0 {
		return dst
	}
	i := len(dst) - 1
	for ; i > from && kad.CompareDistance(target, &p.Key, &dst[i-1].Key) < 0; i-- {
		dst[i] = dst[i-1]
	}
	dst[i] = *p
	return dst
}

// Nearest appends the up to n verified peers nearest to target, nearest first.
// It does not allocate if dst has room for n more.
func (t *Table) Nearest(dst []kad.Peer, target kad.Key, n int) []kad.Peer {
	return t.NearestExcept(dst, target, n, &t.self)
}

// NearestExcept is Nearest without the peer of one key: an answer never names the peer
// that asked.
func (t *Table) NearestExcept(dst []kad.Peer, target kad.Key, n int, except *kad.Key) []kad.Peer {
	limit := len(dst) + n
	w := walkTo(&target, &t.self, len(t.buckets))
	s := sorter{tag: tagOf(&target)}
	left := tagOf(except)
	for len(dst) < limit {
		cpl := w.next()
		if cpl < 0 {
			break
		}
		b, keep := &t.buckets[cpl], limit-len(dst)
		told := b.told()
		if len(told) > sortWidth {
			dst = b.place(dst, limit, &target, except)
			continue
		}
		for i := range told {
			if h := &told[i]; h.tag != left || h.peer.Key != *except {
				s.add(h.tag, i, keep)
			}
		}
		near, sure := s.drain(keep)
		if !sure {
			dst = b.place(dst, limit, &target, except)
			continue
		}
		for _, x := range near {
			dst = append(dst, *told[placeOf(x)].peer)
		}
	}
	return dst
}

// place does the work of a sorter for large buckets and for keys with equal first bits.
func (b *bucket) place(dst []kad.Peer, limit int, target, except *kad.Key) []kad.Peer {
	from := len(dst)
	for _, h := range b.told() {
		if h.peer.Key != *except {
			dst = place(dst, from, limit, target, h.peer)
		}
	}
	return dst
}
