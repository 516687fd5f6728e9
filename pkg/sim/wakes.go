package sim

import "time"

// wakes says when each node's Machine has a deadline: a heap that knows where each
// node is in it, for deadlines move with every message. Those at the same time come
// in the order of their nodes.
type wakes struct {
	heap  []wake
	place []uint32 // by node: in heap, plus one; 0: it has none
}

type wake struct {
	at   time.Duration
	node uint32
}

func (a *wake) before(b *wake) bool { return a.at < b.at || a.at == b.at && a.node < b.node }

// next returns the first; false if there is none.
func (q *wakes) next() (wake, bool) {
	if len(q.heap) == 0 {
		return wake{}, false
	}
	return q.heap[0], true
}

// set moves the deadline of a node.
func (q *wakes) set(node uint32, at time.Duration) {
	if int(node) >= len(q.place) {
		q.place = append(q.place, make([]uint32, int(node)+1-len(q.place))...)
	}
	x := wake{at, node}
	i := int(q.place[node]) - 1
	switch {
	case i < 0:
		q.heap = append(q.heap, x)
		q.up(len(q.heap)-1, x)
	case x.before(&q.heap[i]):
		q.up(i, x)
	default:
		q.down(i, x)
	}
}

// remove takes a node out.
func (q *wakes) remove(node uint32) {
	if int(node) >= len(q.place) || q.place[node] == 0 {
		return
	}
	i := int(q.place[node]) - 1
	q.place[node] = 0
	last := len(q.heap) - 1
	x := q.heap[last]
	q.heap = q.heap[:last]
	switch {
	case i == last:
	case i > 0 && x.before(&q.heap[(i-1)/4]):
		q.up(i, x)
	default:
		q.down(i, x)
	}
}

// up puts x at place i or above.
func (q *wakes) up(i int, x wake) {
	for i > 0 {
		parent := (i - 1) / 4
		if !x.before(&q.heap[parent]) {
			break
		}
		q.put(i, q.heap[parent])
		i = parent
	}
	q.put(i, x)
}

// down puts x at place i or below.
func (q *wakes) down(i int, x wake) {
	for n := len(q.heap); ; {
		child := 4*i + 1
		if child >= n {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, n); c++ {
			if q.heap[c].before(&q.heap[least]) {
				least = c
			}
		}
		if !q.heap[least].before(&x) {
			break
		}
		q.put(i, q.heap[least])
		i = least
	}
	q.put(i, x)
}

func (q *wakes) put(i int, x wake) {
	q.heap[i] = x
	q.place[x.node] = uint32(i) + 1
}
