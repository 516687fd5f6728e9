package sim

import (
	"math"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
)

// tableStats is the accuracy of the routing tables of a sample of nodes.
type tableStats struct {
	peers    samples // in a table
	stale    share   // verified entries whose peer is down or does not serve
	complete share   // of the live peers that a bucket has capacity for, those in it
}

// sizeStats compares estimates of the network's size with the truth.
type sizeStats struct {
	servers int
	nodes   int
	bias    float64 // mean of the relative errors
	sigma   float64 // their standard deviation
}

// loadStats is the distribution of requests over the servers.
type loadStats struct {
	served samples // requests of each live server in the phase
}

// recordStats counts the surviving records of the workload.
type recordStats struct {
	contents int
	holders  samples // live holders of a content
	lost     int     // without a live holder before they expired
}

// tableSample is how many tables are compared with the truth.
const tableSample = 500

// endPhase takes the measures that need the whole network.
func (w *World) endPhase() {
	p := w.phase
	p.to = w.now
	w.measureTables(p)
	w.measureRecords(p)
	for _, num := range w.truth.order {
		n := w.nodes[num]
		p.load.served.add(int64(n.served - n.servedBefore))
	}
	for _, n := range w.nodes {
		n.servedBefore = n.served
	}
}

func (w *World) measureTables(p *phase) {
	var errs []float64
	p.size.servers = len(w.truth.order)
	step := max(1, len(w.truth.order)/tableSample)
	for i := 0; i < len(w.truth.order); i += step {
		n := w.nodes[w.truth.order[i]]
		w.measureTable(n, &p.tables)
		if size := n.machine.NetworkSize(); size > 0 {
			errs = append(errs, size/float64(len(w.truth.order))-1)
		}
	}
	p.size.nodes = len(errs)
	p.size.bias, p.size.sigma = meanAndSigma(errs)
}

func meanAndSigma(xs []float64) (mean, sigma float64) {
	if len(xs) == 0 {
		return 0, 0
	}
	for _, x := range xs {
		mean += x
	}
	mean /= float64(len(xs))
	for _, x := range xs {
		sigma += float64((x - mean) * (x - mean))
	}
	return mean, math.Sqrt(sigma / float64(len(xs)))
}

// measureTable compares one table with the truth.
func (w *World) measureTable(n *node, s *tableStats) {
	var alive [kad.KeyBits]int
	peers := 0
	n.table.Entries(func(e kbucket.Entry) bool {
		peers++
		num, _ := w.number(e.Peer.ID)
		ok := w.serves(num) && w.nodes[num].side == n.side
		if ok {
			alive[e.CPL]++
		}
		if e.Verified {
			stale := 0
			if !ok {
				stale = 1
			}
			s.stale.add(stale, 1)
		}
		return true
	})
	s.peers.add(int64(peers))
	self := w.peer(n.num).Key
	near := [2]int{0, len(w.truth.order)}
	for cpl := 0; near[1]-near[0] > 1 && cpl < kad.KeyBits; cpl++ {
		var apart [2]int
		apart, near = w.truth.halves(near[0], near[1], cpl, &self)
		can := w.reachable(n, apart)
		s.complete.add(min(alive[cpl], can), can)
	}
}

// reachable counts the servers at the given places that n could have in a bucket.
func (w *World) reachable(n *node, places [2]int) int {
	if !w.parted {
		return min(places[1]-places[0], w.opts.Protocol.K)
	}
	can := 0
	for _, num := range w.truth.order[places[0]:places[1]] {
		if w.nodes[num].side == n.side {
			can++
		}
	}
	return min(can, w.opts.Protocol.K)
}

// track begins to follow a content.
func (w *World) track(c *content) {
	if _, known := w.contents[c.at]; !known {
		w.contents[c.at] = c
		w.tracked = append(w.tracked, c)
	}
}

// stored notes that a server took a record of the workload.
func (w *World) stored(n *node, key []byte, expires time.Duration) {
	c := w.contents[kad.KeyOf(key)]
	if c == nil {
		return
	}
	c.holders = slices.DeleteFunc(c.holders, func(h holder) bool { return h.node == n || w.now >= h.expires })
	c.holders = append(c.holders, holder{node: n, expires: expires})
}

func (w *World) measureRecords(p *phase) {
	p.records.contents = len(w.tracked)
	for _, c := range w.tracked {
		live, due := 0, false
		for i := range c.holders {
			h := &c.holders[i]
			due = due || w.now < h.expires
			if h.serves(w.now) && !h.node.evil {
				live++
			}
		}
		p.records.holders.add(int64(live))
		if due && live == 0 {
			p.records.lost++
		}
	}
}
