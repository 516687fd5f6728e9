package republish

import "cmp"

// The heap holds indices into jobs, so that a move copies 4 bytes and writes no map.
// Items break ties, so the order does not depend on the history of the heap.

func (s *Schedule) less(a, b int) bool {
	return compareJobs(&s.jobs[s.heap[a]], &s.jobs[s.heap[b]]) < 0
}

// compareJobs orders jobs by due time, then by item.
func compareJobs(a, b *job) int {
	if c := cmp.Compare(a.due, b.due); c != 0 {
		return c
	}
	return compareItems(&a.item, &b.item)
}

func (s *Schedule) swap(a, b int) {
	s.heap[a], s.heap[b] = s.heap[b], s.heap[a]
	s.jobs[s.heap[a]].pos = int32(a)
	s.jobs[s.heap[b]].pos = int32(b)
}

// attach puts job i into the heap.
func (s *Schedule) attach(i uint32) {
	s.jobs[i].pos = int32(len(s.heap))
	s.heap = append(s.heap, i)
	s.up(len(s.heap) - 1)
}

// detach removes the job at index pos from the heap.
func (s *Schedule) detach(pos int) {
	last := len(s.heap) - 1
	if pos != last {
		s.swap(pos, last)
	}
	s.heap = s.heap[:last]
	if pos != last {
		s.fix(pos)
	}
}

// fix restores the order after the job at index pos has changed.
func (s *Schedule) fix(pos int) {
	if !s.down(pos) {
		s.up(pos)
	}
}

func (s *Schedule) heapify() {
	for pos := len(s.heap)/2 - 1; pos >= 0; pos-- {
		s.down(pos)
	}
}

func (s *Schedule) up(pos int) {
	for pos > 0 {
		parent := (pos - 1) / 2
		if !s.less(pos, parent) {
			return
		}
		s.swap(pos, parent)
		pos = parent
	}
}

// down moves the job at pos towards the leaves and reports whether it moved.
func (s *Schedule) down(pos int) bool {
	start := pos
	for {
		child := 2*pos + 1
		if child >= len(s.heap) {
			break
		}
		if child+1 < len(s.heap) && s.less(child+1, child) {
			child++
		}
		if !s.less(child, pos) {
			break
		}
		s.swap(pos, child)
		pos = child
	}
	return pos > start
}

// overdue counts the jobs due at time at in the subtree at index pos. A job is never due
// before its parent, so the count skips whole subtrees.
func (s *Schedule) overdue(pos int, at int64) int {
	if pos >= len(s.heap) || s.jobs[s.heap[pos]].due > at {
		return 0
	}
	return 1 + s.overdue(2*pos+1, at) + s.overdue(2*pos+2, at)
}
