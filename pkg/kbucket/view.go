package kbucket

import "github.com/holdfast-dht/holdfast/pkg/kad"

// View is an immutable copy of the verified peers of a table. It is safe for
// concurrent use.
type View struct {
	self  kad.Key
	peers []kad.Peer // by ascending bucket
	tags  []uint64   // of peers
	ends  []int32    // bucket i is peers[ends[i-1]:ends[i]]
}

// View copies the verified peers. It stays right until Generation changes.
func (t *Table) View() *View {
	v := &View{
		self: t.self, peers: make([]kad.Peer, 0, t.verified), tags: make([]uint64, 0, t.verified),
		ends: make([]int32, len(t.buckets)),
	}
	for cpl := range t.buckets {
		b := &t.buckets[cpl]
		for i, h := range b.handles {
			if b.verified(i) {
				v.peers, v.tags = append(v.peers, *h.peer), append(v.tags, h.tag)
			}
		}
		v.ends[cpl] = int32(len(v.peers))
	}
	return v
}

// Len returns the number of peers.
func (v *View) Len() int { return len(v.peers) }

// ID returns the ID of peer i of Len.
func (v *View) ID(i int32) kad.PeerID { return v.peers[i].ID }

// nearestScratch is the number of peers that Nearest finds without allocating: twice
// the usual k, and some.
const nearestScratch = 64

// Nearest appends the up to n peers nearest to target, nearest first. It does not
// allocate if dst has room for n more and n is at most 64.
func (v *View) Nearest(dst []kad.Peer, target kad.Key, n int) []kad.Peer {
	var scratch [nearestScratch]int32
	for _, i := range v.NearestAt(scratch[:0], &target, n) {
		dst = append(dst, v.peers[i])
	}
	return dst
}

// NearestAt appends the places (see ID) of the up to n peers nearest to target,
// nearest first. It does not allocate if dst has room for n more.
func (v *View) NearestAt(dst []int32, target *kad.Key, n int) []int32 {
	limit := len(dst) + n
	w := walkTo(target, &v.self, len(v.ends))
	s := places{view: v, target: target, tag: tagOf(target)}
	for len(dst) < limit {
		cpl := w.next()
		if cpl < 0 {
			break
		}
		first := int32(0)
		if cpl > 0 {
			first = v.ends[cpl-1]
		}
		if v.ends[cpl]-first > sortWidth {
			dst = s.large(dst, limit, first, v.ends[cpl])
			continue
		}
		keep := limit - len(dst)
		for i := first; i < v.ends[cpl]; i++ {
			s.add(v.tags[i]^s.tag, i, keep)
		}
		dst = s.drain(dst)
	}
	return dst
}

// places puts peers of one bucket of a view in the order of their distance to a
// target, as a sorter does those of a table.
type places struct {
	view   *View
	target *kad.Key
	tag    uint64
	n      int
	list   [sortWidth + 1]placeAt // one more for the peer that falls off
}

type placeAt struct {
	dist uint64 // of the tag
	at   int32
}

// add inserts peer i and keeps the nearest `keep`, at most sortWidth.
func (s *places) add(dist uint64, i int32, keep int) {
	list := s.list[:s.n+1]
	at := s.n
	for ; at > 0; at-- {
		o := &list[at-1]
		if dist > o.dist || dist == o.dist && !s.nearer(i, o.at) {
			break
		}
		list[at] = *o
	}
	list[at] = placeAt{dist, i}
	s.n = min(s.n+1, keep)
}

// nearer compares peers whose tags are equal.
func (s *places) nearer(a, b int32) bool {
	return kad.CompareDistance(s.target, &s.view.peers[a].Key, &s.view.peers[b].Key) < 0
}

// drain appends the places to dst and forgets them.
func (s *places) drain(dst []int32) []int32 {
	for i := range s.list[:s.n] {
		dst = append(dst, s.list[i].at)
	}
	s.n = 0
	return dst
}

// large inserts the peers from first to end into dst, sorted behind what is there,
// and keeps at most limit places in dst.
func (s *places) large(dst []int32, limit int, first, end int32) []int32 {
	from := len(dst)
	for i := first; i < end; i++ {
		at := len(dst)
		if at < limit {
			dst = append(dst, i)
		} else if at--; !s.nearer(i, dst[at]) {
			continue
		}
		for ; at > from && s.nearer(i, dst[at-1]); at-- {
			dst[at] = dst[at-1]
		}
		dst[at] = i
	}
	return dst
}
