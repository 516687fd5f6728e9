package sim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// World is a simulated network with its queue of events. One goroutine owns it.
//
// Each event takes these steps:
//
//  1. pop returns the earliest event: of the queue, or the deadline of a node's Machine.
//  2. The clock advances to its time, and the trace records it.
//  3. happen runs it: a request or answer arrives, a call fails, a node starts, stops or is
//     woken, the scenario takes a step, or the report takes a measure.
//  4. perform does what the Machine of the node asks for, which queues further events.
//  5. With Options.Check, check tests the invariants of the node.
//
// Events at the same time have a fixed order, every random number comes from a stream
// seeded by Options.Seed, and no output depends on map order or the wall clock. So the same
// options and scenario give the same run.
type World struct {
	opts  Options
	epoch time.Time     // the wall clock of the nodes at the start
	now   time.Duration // since then
	clock time.Time     // epoch + now
	queue queue
	wakes wakes

	peers []*[peerChunk]kad.Peer // by node: keys are computed once and shared by all tables
	nodes []*node
	truth ring // live honest servers
	liars ring // adversaries

	links  links
	calls  calls
	addrs  [][]byte // what every node announces
	entry  []byte   // the encoded entry of a peer with addrs: all have its length
	resp   wire.Message
	near   []kad.Peer // the closer peers in resp, filled by Closer
	probed bool       // the request being served is a probe: nothing reads the peers in its answer
	found  []uint32   // scratch
	keys   keys

	phase    *phase
	phases   []*phase
	contents map[kad.Key]*content
	tracked  []*content // contents, in order
	ready    []*content // stored, so lookups can find them
	besieged []*content // surrounded by Sybils, to provide next

	scenario    *Scenario
	sampleEvery time.Duration
	series      []Point
	counted     counters // values at the last point
	over        bool     // the measured time has ended
	parted      bool     // between partition and heal
	trace       trace
	violations  []string

	random randoms
	churn  churn
	events uint64
}

// randoms are independent random streams, so that more draws from one do not change
// another.
type randoms struct {
	ids, tables, links, churn, work, machines *rand.Rand
}

func newRandoms(seed uint64) randoms {
	stream := uint64(0)
	next := func() *rand.Rand {
		stream++
		return rand.New(rand.NewPCG(seed, stream))
	}
	return randoms{ids: next(), tables: next(), links: next(), churn: next(), work: next(), machines: next()}
}

// worldEpoch is the wall clock at the start of every run; nothing depends on it.
var worldEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// New returns a world before its first event. Without a scenario, its nodes do only their
// upkeep.
func New(opts Options, scenario *Scenario) *World {
	if scenario == nil {
		scenario = &Scenario{}
	}
	opts.Bootstrap = min(opts.Bootstrap, opts.Nodes)
	w := &World{
		opts: opts, epoch: worldEpoch, clock: worldEpoch, random: newRandoms(opts.Seed),
		contents: make(map[kad.Key]*content), phase: &phase{name: "warmup"},
		scenario: scenario, trace: trace{fingerprint: fnvOffset},
	}
	w.truth.w, w.liars.w = w, w
	w.addrs = [][]byte{make([]byte, 8), make([]byte, 11)} // ip4/tcp and ip4/udp/quic-v1
	w.links = newLinks(&w.opts)
	for range opts.Nodes {
		w.newNode()
	}
	w.entry = wire.AppendPeer(nil, &wire.Peer{ID: w.peer(0).ID, Addrs: w.addrs})
	w.cast()
	w.begin()
	w.plan()
	return w
}

// newNode adds a node that is down.
func (w *World) newNode() *node {
	num := uint32(len(w.nodes))
	return w.addNode(kad.NewPeer(w.newID(num)))
}

func (w *World) addNode(p kad.Peer) *node {
	n := &node{w: w, num: uint32(len(w.nodes)), region: w.links.region(w.random.links)}
	if int(n.num)%peerChunk == 0 {
		w.peers = append(w.peers, new([peerChunk]kad.Peer))
	}
	*w.peer(n.num) = p
	w.nodes = append(w.nodes, n)
	return n
}

// peerChunk is how many peers are allocated at once, so that peers never move.
const peerChunk = 1 << 12

func (w *World) peer(num uint32) *kad.Peer { return &w.peers[num/peerChunk][num%peerChunk] }

// idLen is the length of a peer ID: a SHA2-256 multihash. Bytes 2 to 5 are the number of
// the node, so that no map is needed; the others are random.
const idLen = 34

func (w *World) newID(num uint32) kad.PeerID {
	b := append(make([]byte, 0, idLen), 0x12, 0x20)
	b = binary.BigEndian.AppendUint32(b, num)
	for len(b) < idLen {
		b = binary.BigEndian.AppendUint32(b, w.random.ids.Uint32())
	}
	return kad.PeerID(b)
}

// number returns the number of the node with a peer ID, or false if there is none.
func (w *World) number(id kad.PeerID) (uint32, bool) {
	if len(id) != idLen {
		return 0, false
	}
	num := uint32(id[2])<<24 | uint32(id[3])<<16 | uint32(id[4])<<8 | uint32(id[5])
	if uint64(num) >= uint64(len(w.nodes)) || w.peer(num).ID != id {
		return 0, false
	}
	return num, true
}

// serves reports whether a node is a live and honest server.
func (w *World) serves(num uint32) bool {
	n := w.nodes[num]
	return n.up() && !n.client && !n.evil
}

// Now returns how much simulated time has passed.
func (w *World) Now() time.Duration { return w.now }

// Events returns how many events have happened.
func (w *World) Events() uint64 { return w.events }

// RunUntil runs every event that is due at or before the given time.
func (w *World) RunUntil(end time.Duration) {
	for {
		e, ok := w.pop(end)
		if !ok {
			break
		}
		if e.at < w.now {
			w.violated(w.nodes[0], "time runs back to %v", e.at)
		}
		w.events++
		w.setNow(e.at)
		w.record(&e)
		w.happen(&e)
	}
	w.setNow(end)
}

// pop returns the next event, if it is due at or before end. Among events at the same
// time, deadlines come last.
func (w *World) pop(end time.Duration) (event, bool) {
	at, ok := w.queue.next()
	if first, some := w.wakes.next(); some && (!ok || first < at) {
		return w.wakes.heap[0], first <= end // it stays until wake
	}
	if !ok || at > end {
		return event{}, false
	}
	return w.queue.pop(), true
}

func (w *World) setNow(at time.Duration) {
	if at != w.now {
		w.now, w.clock = at, w.epoch.Add(at)
	}
}

func (w *World) happen(e *event) {
	switch e.kind() {
	case evWake:
		w.wake(w.nodes[e.arg])
	case evRequest:
		w.arrived(e.arg)
	case evReply:
		w.replied(e.arg)
	case evFailure:
		w.failed(e.arg)
	case evStart:
		w.start(w.nodes[e.arg])
	case evWarm:
		w.startWarm(w.nodes[e.arg])
	case evStop:
		w.stop(w.nodes[e.arg])
	case evArrival:
		w.arrive()
	case evStep:
		w.takeStep(e.arg)
	case evPhase:
		w.turnPhase(e.arg)
	case evSample:
		w.samplePoint()
	default:
		panic(fmt.Sprintf("sim: event %d", e.kind()))
	}
}
