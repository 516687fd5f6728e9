package kbucket

import "github.com/holdfast-dht/holdfast/pkg/kad"

// walk visits buckets in order of their distance to a target. Every bucket is a
// subtree, so its peers are all nearer or all farther than those of another one:
// of the buckets i and above, bucket i is the nearest if the target differs from
// us in bit i, the farthest if it does not.
type walk struct {
	diff kad.Key // XOR of target and self
	n    int     // buckets
	i    int     // next to look at
	back bool    // coming back for the buckets whose bit is equal
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

// sortWidth is the number of peers that are sorted by their tags alone: a bucket
// and a half of the usual size.
const sortWidth = 32

// sorter puts peers of one bucket in the order of their distance to a target.
type sorter struct {
	target kad.Key
	tag    uint64
	n      int
	list   [sortWidth + 1]nearby // one more for the peer that falls off
}

type nearby struct {
	dist uint64 // of the tag
	peer *kad.Peer
}

// add inserts a peer and keeps the nearest `keep`, at most sortWidth.
func (s *sorter) add(tag uint64, p *kad.Peer, keep int) {
	dist := tag ^ s.tag
	list := s.list[:s.n+1]
	i := s.n
	for ; i > 0; i-- {
		o := &list[i-1]
		if dist > o.dist || dist == o.dist && !s.nearer(p, o.peer) {
			break
		}
		list[i] = *o
	}
	list[i] = nearby{dist: dist, peer: p}
	s.n = min(s.n+1, keep)
}

// nearer compares peers whose tags are equal.
func (s *sorter) nearer(a, b *kad.Peer) bool {
	return kad.CompareDistance(&s.target, &a.Key, &b.Key) < 0
}

// drain appends the peers to dst and forgets them.
func (s *sorter) drain(dst []kad.Peer) []kad.Peer {
	for i := range s.list[:s.n] {
		dst = append(dst, *s.list[i].peer)
	}
	s.n = 0
	return dst
}

// place inserts p into dst[from:], which is sorted by distance to target, and
// keeps at most limit peers in dst. It serves buckets too large for a sorter.
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
	limit := len(dst) + n
	w := walkTo(&target, &t.self, len(t.buckets))
	s := sorter{target: target, tag: tagOf(&target)}
	for len(dst) < limit {
		cpl := w.next()
		if cpl < 0 {
			break
		}
		b := &t.buckets[cpl]
		if len(b.handles) > sortWidth {
			dst = b.place(dst, limit, &target)
			continue
		}
		for i := range b.handles {
			if b.verified(i) {
				s.add(b.handles[i].tag, b.handles[i].peer, limit-len(dst))
			}
		}
		dst = s.drain(dst)
	}
	return dst
}

// verified reports whether entry i is.
func (b *bucket) verified(i int) bool { return b.unverified == 0 || b.entries[i].verified }

// place is what a sorter does, for a large bucket.
func (b *bucket) place(dst []kad.Peer, limit int, target *kad.Key) []kad.Peer {
	from := len(dst)
	for i := range b.handles {
		if b.verified(i) {
			dst = place(dst, from, limit, target, b.handles[i].peer)
		}
	}
	return dst
}
