package sim

import "time"

// kind is what an event is about.
type kind uint8

const (
	evWake    kind = iota // arg: node whose Machine has a deadline, see wakes
	evRequest             // arg: call that reaches its server
	evReply               // arg: call whose answer reaches its client
	evFailure             // arg: call that is given up
	evStart               // arg: node that comes up
	evWarm                // arg: node, up with a warm table, that begins its upkeep
	evStop                // arg: node that goes down
	evArrival             // a new node comes to the network
	evStep                // arg: step of the scenario
	evPhase               // arg: phaseFirst or phaseLast
	evSample              // a point of the report's curves
)

var kindNames = [...]string{"wake", "request", "reply", "failure", "start", "warm", "stop", "arrival", "step", "phase", "sample"}

// event is something that will happen. Events at the same time happen in the
// order in which they were made.
type event struct {
	at    time.Duration // since the start of the run
	order uint64        // a running number, the kind in its lowest byte
	arg   uint32
}

func (e *event) kind() kind { return kind(e.order & 0xff) }

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.order < o.order
}

// queue is a heap of events with four children to a parent: half the levels of a
// binary one, and siblings share cache lines.
type queue struct {
	heap []event
	made uint64
}

func (q *queue) push(at time.Duration, k kind, arg uint32) {
	q.made++
	e := event{at: at, order: q.made<<8 | uint64(k), arg: arg}
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&q.heap[parent]) {
			break
		}
		q.heap[i] = q.heap[parent]
		i = parent
	}
	q.heap[i] = e
}

func (q *queue) len() int { return len(q.heap) }

// next returns when the first event is due.
func (q *queue) next() (time.Duration, bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

func (q *queue) pop() event {
	top := q.heap[0]
	last := len(q.heap) - 1
	e := q.heap[last]
	q.heap = q.heap[:last]
	if last > 0 {
		q.down(e)
	}
	return top
}

// down puts e where the root was and lets it sink.
func (q *queue) down(e event) {
	i, n := 0, len(q.heap)
	for {
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
		if !q.heap[least].before(&e) {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = e
}
