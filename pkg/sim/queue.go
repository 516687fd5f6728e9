package sim

import "time"

// kind is the type of an event.
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

// afterPhases is set in the order of every event except the beginning and the end of a phase.
const afterPhases = 1 << 63

// event is a scheduled event. Events at the same time happen in the order in which they
// were queued, except that a phase ends and begins before all others.
type event struct {
	at    time.Duration // since the start of the run
	order uint64        // afterPhases, a sequence number, and the kind in its lowest byte
	arg   uint32
}

func (e *event) kind() kind { return kind(e.order & 0xff) }

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.order < o.order
}

// events is a heap with four children to a parent: half the levels of a binary one,
// and siblings share cache lines.
type events struct {
	heap  []event
	place []uint32 // by arg: index of its event plus one, or 0; nil: not tracked
}

func (q *events) len() int { return len(q.heap) }

// next returns when the first event is due.
func (q *events) next() (time.Duration, bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

func (q *events) put(i int, e event) {
	q.heap[i] = e
	if q.place != nil {
		q.place[e.arg] = uint32(i) + 1
	}
}

// up puts e at place i or above.
func (q *events) up(i int, e event) {
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&q.heap[parent]) {
			break
		}
		q.put(i, q.heap[parent])
		i = parent
	}
	q.put(i, e)
}

// down puts e at place i or below.
func (q *events) down(i int, e event) {
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
		if !q.heap[least].before(&e) {
			break
		}
		q.put(i, q.heap[least])
		i = least
	}
	q.put(i, e)
}

// drop removes the last place and returns what was there.
func (q *events) drop() event {
	last := len(q.heap) - 1
	e := q.heap[last]
	q.heap = q.heap[:last]
	return e
}

// queue holds the events whose time does not change.
type queue struct {
	events
	made uint64
}

func (q *queue) push(at time.Duration, k kind, arg uint32) { q.add(at, k, arg, afterPhases) }

// pushPhase queues an event that ends or begins a phase.
func (q *queue) pushPhase(at time.Duration, k kind, arg uint32) { q.add(at, k, arg, 0) }

func (q *queue) add(at time.Duration, k kind, arg uint32, after uint64) {
	q.made++
	e := event{at: at, order: after | q.made<<8 | uint64(k), arg: arg}
	q.heap = append(q.heap, e)
	q.up(len(q.heap)-1, e)
}

func (q *queue) pop() event {
	top := q.heap[0]
	if e := q.drop(); len(q.heap) > 0 {
		q.down(0, e)
	}
	return top
}
