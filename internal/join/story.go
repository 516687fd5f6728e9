package join

// Report has the tables before, the steps, and the tables after.
type Report struct {
	Before []Table `json:"before"`
	Steps  []Step  `json:"steps"`
	After  []Table `json:"after"`
}

// Alice joins; the other three are up already. All other IDs in their tables belong to
// nodes that have left.
var (
	alice   = ID(0b0000)
	bob     = ID(0b0110)
	charlie = ID(0b0011)
	dan     = ID(0b0101)
)

// Story has Alice, who knows only Bob, join a network of three live nodes. She looks for
// her own ID, then refreshes every bucket farther than her nearest neighbour (Kademlia,
// section 2.3).
func Story() Report {
	w := newNetwork()
	a := w.enter(alice, "Alice", 0b0110)
	cast := []*node{
		a,
		w.enter(bob, "Bob", 0b0011, 0b0101, 0b0111, 0b1000),
		w.enter(charlie, "Charlie", 0b0001, 0b0010, 0b0110, 0b1000, 0b1100),
		w.enter(dan, "Dan", 0b0110, 0b1001, 0b1110),
	}
	r := Report{Before: tables(cast)}
	w.tell(Step{Who: a.name, Kind: Candidate, Peer: bob})
	w.find(a, a.id)
	w.refreshBeyond(a, func(b int) ID { return firstOf(a.id, b) })
	r.Steps, r.After = w.steps, tables(cast)
	return r
}

// refreshBeyond looks up one target in each bucket beyond the nearest neighbour.
func (w *network) refreshBeyond(n *node, target func(bucket int) ID) {
	nearest := n.table.Nearest(nil, n.id.key(), 1)
	if len(nearest) == 0 {
		return
	}
	for b := bucket(n.id, idOf(nearest[0])) + 1; b < Bits; b++ {
		w.refresh(n, b, target(b))
	}
}

func (w *network) refresh(n *node, b int, target ID) {
	w.tell(Step{Who: n.name, Kind: Refresh, Bucket: b, Target: target})
	w.find(n, target)
}

// firstOf returns the smallest ID of a bucket of owner.
func firstOf(owner ID, bucket int) ID { return (owner ^ 1<<bucket) &^ (1<<bucket - 1) }

func tables(ns []*node) []Table {
	out := make([]Table, len(ns))
	for i, n := range ns {
		out[i] = n.export()
	}
	return out
}
