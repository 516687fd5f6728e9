package kbucket

import "github.com/holdfast-dht/holdfast/pkg/kad"

// View is an immutable copy of the verified peers of a table. It is safe for
// concurrent use.
type View struct {
	self  kad.Key
	peers []kad.Peer // by ascending bucket
	tags  []uint64   // of the same peers
	ends  []int32    // bucket i is peers[ends[i-1]:ends[i]]
}

// View copies the verified peers. The copy is up to date until Generation changes.
func (t *Table) View() *View {
	v := &View{
		self: t.self, peers: make([]kad.Peer, 0, t.verified), tags: make([]uint64, 0, t.verified),
		ends: make([]int32, len(t.buckets)),
	}
	for cpl := range t.buckets {
		b := &t.buckets[cpl]
		for _, h := range b.told() {
			v.peers, v.tags = append(v.peers, *h.peer), append(v.tags, h.tag)
		}
		v.ends[cpl] = int32(len(v.peers))
	}
	return v
}

// Len returns the number of peers.
func (v *View) Len() int { return len(v.peers) }

// ID returns the ID of peer i of Len.
func (v *View) ID(i int32) kad.PeerID { return v.peers[i].ID }

// nearestScratch is how many peers Nearest finds without allocating: a bit over three
// times the usual k.
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

// NearestAt appends the indices (see ID) of the up to n peers nearest to target,
// nearest first. It does not allocate if dst has capacity for n more.
func (v *View) NearestAt(dst []int32, target *kad.Key, n int) []int32 {
	limit := len(dst) + n
	w := walkTo(target, &v.self, len(v.ends))
	s := sorter{tag: tagOf(target)}
	for len(dst) < limit {
		cpl := w.next()
		if cpl < 0 {
			break
		}
		first := int32(0)
		if cpl > 0 {
			first = v.ends[cpl-1]
		}
		tags, keep := v.tags[first:v.ends[cpl]], limit-len(dst)
		if len(tags) > sortWidth {
			dst = v.place(dst, limit, target, first, v.ends[cpl])
			continue
		}
		for i, tag := range tags {
			s.add(tag, i, keep)
		}
		near, sure := s.drain(keep)
		if !sure {
			dst = v.place(dst, limit, target, first, v.ends[cpl])
			continue
		}
		for _, x := range near {
			dst = append(dst, first+int32(placeOf(x)))
		}
	}
	return dst
}

// place inserts the peers from first to end into dst, sorted, after what dst already
// has, and keeps at most limit indices in dst. It does the work of a sorter for large
// buckets and for keys with equal first bits.
func (v *View) place(dst []int32, limit int, target *kad.Key, first, end int32) []int32 {
	nearer := func(a, b int32) bool {
		return kad.CompareDistance(target, &v.peers[a].Key, &v.peers[b].Key) < 0
	}
	from := len(dst)
	for i := first; i < end; i++ {
		at := len(dst)
		if at < limit {
			dst = append(dst, i)
		} else if at--; !nearer(i, dst[at]) {
			continue
		}
		for ; at > from && nearer(i, dst[at-1]); at-- {
			dst[at] = dst[at-1]
		}
		dst[at] = i
	}
	return dst
}
