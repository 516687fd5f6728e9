package sim

import (
	"fmt"
	"slices"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// maxViolations bounds the broken invariants that are kept. Later ones are usually
// consequences of the first few.
const maxViolations = 20

// violated records a broken invariant.
func (w *World) violated(n *node, format string, args ...any) {
	if len(w.violations) < maxViolations {
		at := fmt.Sprintf("%v node %d: ", w.now, n.num)
		w.violations = append(w.violations, at+fmt.Sprintf(format, args...))
	}
}

// Violations returns the invariants that were broken, with time and place.
func (w *World) Violations() []string { return w.violations }

// check tests the invariants of a node after every event.
func (w *World) check(n *node) {
	l := n.machine.Load()
	if l.Requests > dht.MaxRequests {
		w.violated(n, "%d requests in flight, at most %d", l.Requests, dht.MaxRequests)
	}
	if most := dht.MaxProbes + dht.MaxSuspects + dht.MaxLiveness; l.Probes > most {
		w.violated(n, "%d probes in flight, at most %d", l.Probes, most)
	}
	if n.table.Generation() != n.checked {
		n.checked = n.table.Generation()
		w.checkTable(n)
	}
	for _, o := range n.ops {
		if w.now-o.started > dht.QueryTimeout {
			w.violated(n, "%s runs for %v", opNames[o.kind], w.now-o.started)
		}
	}
}

// checkTable tests that no bucket has more than k peers, that no peer appears twice or in
// the wrong bucket, and that the node itself does not appear.
func (w *World) checkTable(n *node) {
	self := &w.peer(n.num).Key
	t := n.table
	var seen []uint32
	t.Entries(func(e kbucket.Entry) bool {
		num, ok := w.number(e.Peer.ID)
		switch {
		case ok && num == n.num:
			w.violated(n, "its own peer is in its table")
		case slices.Contains(seen, num):
			w.violated(n, "node %d is in its table twice", num)
		case kad.CommonPrefixLen(self, &e.Peer.Key) != e.CPL:
			w.violated(n, "node %d is in bucket %d", num, e.CPL)
		}
		seen = append(seen, num)
		return true
	})
	for cpl := range kad.KeyBits {
		if l := t.BucketLen(cpl); l > w.opts.Protocol.K {
			w.violated(n, "bucket %d holds %d peers", cpl, l)
		}
	}
}

// checkAnswer tests an answer of the Handler: closer peers are nearest first and include
// neither the server nor the asker, no nearer peer of the table is left out, and records
// have not expired.
func (w *World) checkAnswer(n *node, c *call, a *answer) {
	target := kad.KeyOf(c.msg.Key)
	closer := a.closer[len(a.msg.CloserPeers):] // after the peer that was looked for
	for i := range closer {
		num, _ := w.number(closer[i].ID)
		if num == n.num || num == c.from {
			w.violated(n, "%s names node %d to node %d", c.msg.Type, num, c.from)
		}
		if i > 0 && kad.CompareDistance(&target, &closer[i-1].Key, &closer[i].Key) >= 0 {
			w.violated(n, "%s is not in order", c.msg.Type)
		}
	}
	if len(closer) > 0 {
		w.checkNearest(n, c, &target, closer)
	}
	if len(a.msg.ProviderPeers) > 0 || a.msg.Record != nil && c.msg.Type == wire.GetValue {
		w.checkRecords(n, c, &target)
	}
}

func (w *World) checkNearest(n *node, c *call, target *kad.Key, closer []kad.Peer) {
	last := &closer[len(closer)-1].Key
	nearer, verified := 0, 0
	n.table.Entries(func(e kbucket.Entry) bool {
		if num, _ := w.number(e.Peer.ID); num == c.from || !e.Verified {
			return true
		}
		verified++
		if kad.CompareDistance(target, &e.Peer.Key, last) <= 0 {
			nearer++
		}
		return true
	})
	if nearer != len(closer) || len(closer) < min(verified, w.opts.Protocol.K) {
		w.violated(n, "%s names %d peers, of %d verified %d are as near", c.msg.Type, len(closer), verified, nearer)
	}
}

func (w *World) checkRecords(n *node, c *call, target *kad.Key) {
	x := w.contents[*target]
	if x == nil || x.owner == n {
		return
	}
	for i := range x.holders {
		if h := &x.holders[i]; h.node == n && w.now < h.expires {
			return
		}
	}
	w.violated(n, "%s serves a record that has expired or was never stored", c.msg.Type)
}

// checkEnd tests that every query of the workload has ended.
func (w *World) checkEnd() {
	if !w.opts.Check {
		return
	}
	for _, n := range w.nodes {
		for _, o := range n.ops {
			w.violated(n, "%s that began at %v never ended", opNames[o.kind], o.started)
		}
	}
	if len(w.calls.list)-len(w.calls.free) > w.queue.len() {
		w.violated(w.nodes[0], "%d requests wait for %d events", len(w.calls.list)-len(w.calls.free), w.queue.len())
	}
}
