package join

import (
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/lookup"
)

// node is a live node.
type node struct {
	id    ID
	name  string
	table *kbucket.Table
}

// network is all live nodes and the steps so far.
type network struct {
	nodes [ids]*node // nil: no such node
	now   time.Time  // advances by a second with every dial
	steps []Step
}

// epoch is the time at the start; nothing depends on it.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// lookupConfig is the shipping lookup at the size of this network: it ends when
// the k nearest have answered.
var lookupConfig = lookup.Config{K: BucketSize, Alpha: Alpha, MaxAlpha: Alpha, Beta: BucketSize}

func newNetwork() *network { return &network{now: epoch} }

// enter adds a live node whose table has the given contacts.
func (w *network) enter(id ID, name string, contacts ...ID) *node {
	n := &node{id: id, name: name, table: kbucket.New(id.key(), kbucket.Config{BucketSize: BucketSize, Replacements: BucketSize})}
	for _, c := range contacts {
		w.now = w.now.Add(time.Second)
		n.table.Add(c.peer(), "", w.now)
	}
	w.nodes[id] = n
	return n
}

// find runs one lookup by n. It starts with the peers in n's table and with seeds, and
// returns the nearest nodes that answered.
func (w *network) find(n *node, target ID, seeds ...ID) []ID {
	start := n.table.Nearest(nil, target.key(), BucketSize)
	for _, s := range seeds {
		start = append(start, s.peer())
	}
	l := lookup.New(target.key(), lookupConfig, start)
	list := shortlist{target: target}
	list.hear(idsOf(start))
	w.tell(Step{Who: n.name, Kind: Lookup, Target: target, Peers: idsOf(start)})
	for p, ok := l.Next(); ok; p, ok = l.Next() {
		w.ask(n, idOf(p), target, l, &list)
	}
	closest := idsOf(l.Closest(nil))
	w.tell(Step{Who: n.name, Kind: Closest, Target: target, Peers: closest})
	return closest
}

// ask dials one node and reports its answer or its failure to the lookup.
func (w *network) ask(n *node, to, target ID, l *lookup.Lookup, list *shortlist) {
	w.now = w.now.Add(time.Second)
	w.tell(Step{Who: n.name, Kind: Dial, Peer: to})
	other := w.nodes[to]
	if other == nil {
		w.tell(Step{Who: n.name, Kind: Silence, Peer: to})
		n.table.Failed(to.key(), w.now)
		l.Failed(to.key())
		list.set(to, failed)
		return
	}
	closer := other.answer(target, n.id)
	w.tell(Step{Who: other.name, Kind: Answer, Peer: n.id, Target: target, Peers: idsOf(closer)})
	w.meet(other, n.id)
	w.meet(n, to)
	before, _ := list.closest()
	l.Responded(to.key(), closer)
	list.set(to, responded)
	list.hear(idsOf(closer))
	w.tell(Step{Who: n.name, Kind: Shortlist, Entries: slices.Clone(list.entries)})
	if best, ok := list.closest(); ok && best != before {
		w.tell(Step{Who: n.name, Kind: NewClosest, Peer: best})
	}
}

// answer returns the k nearest peers that n knows, without the asker.
func (n *node) answer(target, asker ID) []kad.Peer {
	ps := n.table.Nearest(nil, target.key(), BucketSize+1)
	ps = slices.DeleteFunc(ps, func(p kad.Peer) bool { return idOf(p) == asker })
	return ps[:min(len(ps), BucketSize)]
}

// meet adds a peer to the table of n: the peer has answered n, or it has sent a request
// and then answered n's probe.
func (w *network) meet(n *node, id ID) {
	out := n.table.Add(id.peer(), "", w.now)
	if out != kbucket.Updated {
		w.tell(Step{Who: n.name, Kind: Added, Peer: id, Bucket: bucket(n.id, id), Outcome: out.String()})
	}
}

func (w *network) tell(s Step) { w.steps = append(w.steps, s) }

// Table is the routing table of one node, least recently seen first in a bucket.
type Table struct {
	Node    ID         `json:"id"`
	Name    string     `json:"name"`
	Buckets [Bits][]ID `json:"buckets"`
	// Connected reports that no bucket is empty ("Kademlia connectivity").
	Connected bool `json:"connected"`
}

func (n *node) export() Table {
	t := Table{Node: n.id, Name: n.name, Connected: true}
	for e := range n.table.Entries {
		b := bucketOfCPL(e.CPL)
		t.Buckets[b] = append(t.Buckets[b], idOf(e.Peer))
	}
	for b := range t.Buckets {
		if len(t.Buckets[b]) == 0 {
			t.Buckets[b] = []ID{}
			t.Connected = false
		}
	}
	return t
}
