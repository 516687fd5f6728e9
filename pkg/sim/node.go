package sim

import (
	"math"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

// node is one node of the network, up or down.
type node struct {
	w      *World
	num    uint32
	life   uint32 // incremented by every start; events of an earlier life are dropped
	region uint8
	side   uint8  // of the partition it is on
	client bool   // in client mode
	evil   bool   // an adversary
	stable bool   // not subject to churn
	served uint32 // requests answered, over all lives

	servedBefore uint32 // in earlier phases

	// While up.
	machine *dht.Machine
	table   *kbucket.Table // the Machine's
	handler *dht.Handler
	store   *records.Mem
	conns   *[connSlots]conn
	started bool   // its upkeep has begun
	checked uint64 // generation of the table at the last check

	startedAt time.Duration
	joining   bool  // its first self-lookup has not ended
	restoring int   // number of snapshot peers to verify; 0: done
	ops       []*op // of the workload, running

	// While down, if it is to come back.
	saved []kad.Peer // the last snapshot of its table
}

// never is later than every event.
const never = time.Duration(math.MaxInt64)

func (n *node) up() bool { return n.machine != nil }

// start starts a node: from its snapshot if it has one, otherwise through the bootstrap
// nodes.
func (w *World) start(n *node) {
	if n.up() {
		return
	}
	w.boot(n)
	n.started, n.startedAt = true, w.now
	n.restoring, n.joining = len(n.saved), len(n.saved) == 0
	n.machine.Restored(w.clock, n.saved)
	n.saved = nil
	if w.serves(n.num) {
		w.truth.add(n.num)
	}
	w.perform(n)
}

// boot makes the Machine and the Handler of a node.
func (w *World) boot(n *node) {
	n.life++
	n.conns = new([connSlots]conn)
	if n.store == nil {
		n.store = records.NewMem(w.random.machines.Shuffle)
	}
	n.machine = dht.New(w.machineConfig(n))
	n.table = n.machine.Table()
	n.handler = dht.NewHandler(dht.HandlerConfig{
		Self: w.peer(n.num).ID, Store: n.store, Neighbours: n,
		KeyOf: w.keyOf, Validate: acceptAll, Better: newer, FilterAddrs: keepAddrs,
		Replicas: w.opts.Protocol.K, ProviderTTL: w.opts.Protocol.TTL,
	})
}

func (w *World) machineConfig(n *node) dht.Config {
	p := &w.opts.Protocol
	return dht.Config{
		Self:     *w.peer(n.num),
		Table:    kbucket.Config{BucketSize: p.K, Replacements: p.Replacements, Share: w.share},
		Replicas: p.K, Alpha: p.Alpha, MaxAlpha: max(p.MaxAlpha, p.Alpha), RefreshAlpha: p.RefreshAlpha,
		Beta: p.Beta, StoreBeta: p.StoreBeta, SearchBeta: p.SearchBeta, SoftTimeout: p.SoftTimeout,
		RefreshInterval: p.Refresh, LivenessInterval: p.Liveness,
		Republish: republish.Config{Interval: p.Republish},
		Select:    newer,
		Observer:  observer{w: w},
		Rand:      w.random.machines,
		Preimage:  allPreimages().random,
	}
}

// share returns the world's copy of a peer, which all tables share.
func (w *World) share(p kad.Peer) *kad.Peer {
	if num, ok := w.number(p.ID); ok {
		return w.peer(num)
	}
	invented := p
	return &invented
}

// stop stops a node without notice to its peers.
func (w *World) stop(n *node) {
	if !n.up() {
		return
	}
	w.truth.remove(n.num)
	w.liars.remove(n.num)
	n.machine, n.table, n.handler, n.conns, n.ops = nil, nil, nil, nil, nil
	n.started = false
	w.wakes.remove(n.num)
}

// wake calls Tick because the node's deadline has come.
func (w *World) wake(n *node) {
	w.wakes.remove(n.num)
	n.machine.Tick(w.clock)
	w.perform(n)
}

// perform does what a node's Machine asks for until it has no more output, and schedules
// its next wake.
func (w *World) perform(n *node) {
	for {
		out := n.machine.Take()
		w.performOne(n, &out)
		if len(out.Load) == 0 && !out.Bootstrap && !out.Retry {
			break // the Machine got no input, so it has no more output
		}
	}
	w.setWake(n)
	if w.opts.Check {
		w.check(n)
	}
}

func (w *World) performOne(n *node, out *dht.Output) {
	for i := range out.Send {
		w.send(n, &out.Send[i])
	}
	for i := range out.Progress {
		w.progress(n, &out.Progress[i])
	}
	for i := range out.Done {
		w.done(n, &out.Done[i])
	}
	for _, it := range out.Load {
		w.load(n, it)
	}
	for i := range out.Published {
		p := &out.Published[i]
		_ = n.store.Done(p.Kind, p.Key, p.At, p.Due) // an in-memory store does not fail
	}
	if out.Bootstrap || out.Retry {
		w.bootstrap(n)
	}
	if out.Expire {
		_, _ = n.store.Expire(w.clock)
	}
}

// setWake schedules the Machine's deadline.
func (w *World) setWake(n *node) {
	at := never
	if deadline, ok := n.machine.Deadline(); ok {
		at = max(deadline.Sub(w.epoch), w.now)
	}
	w.wakes.set(n.num, at)
}

// bootstrap gives a node the bootstrap nodes, unless its table is already warm.
func (w *World) bootstrap(n *node) {
	if _, verified := n.table.Len(); verified >= dht.LowTable {
		return
	}
	for i := range w.opts.Bootstrap {
		b := w.nodes[i]
		if b != n && b.up() && b.side == n.side {
			n.machine.PeerFound(w.clock, *w.peer(b.num), true)
		}
	}
}

// Closer implements dht.Neighbours. It leaves the peers themselves in w.near.
func (n *node) Closer(dst []wire.Peer, target kad.Key, count int, asker kad.PeerID, _ wire.Scope) []wire.Peer {
	w := n.w
	if _, verified := n.table.Len(); w.probed && verified > count {
		return w.unnamed(dst, count)
	}
	except := &w.peer(n.num).Key
	if num, ok := w.number(asker); ok {
		except = &w.peer(num).Key
	}
	w.near = n.table.NearestExcept(w.near[:0], target, count, except)
	for i := range w.near {
		dst = append(dst, wire.Peer{ID: w.near[i].ID, Raw: w.entry})
	}
	return dst
}

// unnamed appends count empty peers. Nothing reads the peers in the answer to a probe,
// only its size counts.
func (w *World) unnamed(dst []wire.Peer, count int) []wire.Peer {
	for range count {
		dst = append(dst, wire.Peer{Raw: w.entry})
	}
	return dst
}

// without moves the peer of that key behind the others and returns their number.
func without(ps []kad.Peer, key *kad.Key) int {
	for i := range ps {
		if ps[i].Key == *key {
			copy(ps[i:], ps[i+1:])
			return len(ps) - 1
		}
	}
	return len(ps)
}

// Find implements dht.Neighbours. A node knows its own addresses and those of the peers
// in its table.
func (n *node) Find(id kad.PeerID, _ wire.Scope) (wire.Peer, bool) {
	num, ok := n.w.number(id)
	if !ok {
		return wire.Peer{}, false
	}
	if num != n.num && !n.table.Has(n.w.peer(num).Key) {
		return wire.Peer{}, false
	}
	return wire.Peer{ID: n.w.peer(num).ID, Addrs: n.w.addrs}, true
}

// Said implements dht.Neighbours. Addresses never change in the simulator.
func (n *node) Said(dst [][]byte, _ kad.PeerID, _ wire.Scope) [][]byte { return dst }

var _ dht.Neighbours = (*node)(nil)

func acceptAll(_, _ []byte) error { return nil }

// newer reports whether b is greater than a: later values of the workload are greater.
func newer(_, a, b []byte) bool { return string(b) > string(a) }

func keepAddrs(_ [][]byte, _ kad.PeerID, addrs [][]byte, _ wire.Scope) [][]byte { return addrs }
