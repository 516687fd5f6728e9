package sim

import "time"

// wakes holds the deadline of each node's Machine: one event per node, which moves with
// every message. Events at the same time are ordered by node.
type wakes struct{ events }

// set moves the deadline of a node. The value never removes it.
func (q *wakes) set(node uint32, at time.Duration) {
	if int(node) >= len(q.place) {
		q.place = append(q.place, make([]uint32, int(node)+1-len(q.place))...)
	}
	i := int(q.place[node]) - 1
	e := event{at: at, order: uint64(node)<<8 | uint64(evWake), arg: node}
	switch {
	case at == never:
		q.remove(node)
	case i < 0:
		q.heap = append(q.heap, e)
		q.up(len(q.heap)-1, e)
	case at != q.heap[i].at:
		q.move(i, e)
	}
}

// remove removes the deadline of a node, if it has one.
func (q *wakes) remove(node uint32) {
	if int(node) >= len(q.place) || q.place[node] == 0 {
		return
	}
	i := int(q.place[node]) - 1
	q.place[node] = 0
	if e := q.drop(); i < len(q.heap) {
		q.move(i, e)
	}
}

// move puts e in place of what was at i.
func (q *wakes) move(i int, e event) {
	if i > 0 && e.before(&q.heap[(i-1)/4]) {
		q.up(i, e)
	} else {
		q.down(i, e)
	}
}
