package sim

import (
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// phase is a part of a run that is measured separately.
type phase struct {
	name     string
	from, to time.Duration

	ops         [numOps]opStats
	roles       [dht.NumRoles]struct{ sent, failed int64 }
	queries     [dht.NumQueryKinds]struct{ count, asked int64 }
	traffic     [wire.NumTypes]traffic
	republished struct{ keys, asked, stores, replicas int64 }
	joined      samples // microseconds from a start to the end of the first self-lookup
	restored    samples // microseconds from a restart to restoredShare of the saved peers

	tables  tableStats
	size    sizeStats
	load    loadStats
	records recordStats
}

// traffic counts messages of one type and their bytes, length prefixes included.
type traffic struct{ requests, requestBytes, answers, answerBytes int64 }

// opStats collects the operations of one kind.
type opStats struct {
	count     int // that ended
	succeeded int
	refused   int // the Machine had reached its limit of queries
	failed    int // no peer answered, or no peer stored the record

	took, first                      samples // microseconds
	messages, hops, firstHop, rounds samples
	stored                           samples // peers that stored the record
	recall                           share   // of the true k closest
	overlap                          share   // of the k closest at the time of the search, those that hold the record
}

// share is a part of a whole.
type share struct{ part, whole int64 }

func (s *share) add(part, whole int) {
	s.part += int64(part)
	s.whole += int64(whole)
}

// value is between 0 and 1; 0 if there is no whole.
func (s share) value() float64 {
	if s.whole == 0 {
		return 0
	}
	return float64(s.part) / float64(s.whole)
}

// samples are the numbers that percentiles are computed from.
type samples struct {
	list   []int64
	sum    int64
	sorted bool
}

func (s *samples) add(x int64) {
	s.list = append(s.list, x)
	s.sum += x
	s.sorted = false
}

func (s *samples) mean() float64 {
	if len(s.list) == 0 {
		return 0
	}
	return float64(s.sum) / float64(len(s.list))
}

// quantile returns the smallest sample with more than a share q of the samples at or
// below it.
func (s *samples) quantile(q float64) int64 {
	if len(s.list) == 0 {
		return 0
	}
	if !s.sorted {
		slices.Sort(s.list)
		s.sorted = true
	}
	i := int(q * float64(len(s.list)))
	return s.list[min(i, len(s.list)-1)]
}

// judge adds the result of an operation to its phase.
func (w *World) judge(n *node, o *op, r *dht.Result) {
	s := &o.phase.ops[o.kind]
	s.count++
	if r.Stats.Outcome == dht.OutcomeFailed {
		s.failed++
	}
	s.took.add((w.now - o.started).Microseconds())
	s.messages.add(int64(o.messages))
	s.hops.add(int64(r.Stats.Hops))
	s.rounds.add(int64(o.rounds))
	if o.firstHop >= 0 {
		s.firstHop.add(int64(o.firstHop))
	}
	if o.first >= 0 {
		s.first.add(o.first.Microseconds())
	}
	if (o.kind == opProvide || o.kind == opPut) && r.Stats.StoredAt > 0 {
		w.ready = append(w.ready, o.content)
	}
	truth := w.nearest(n, &o.target)
	if w.succeeded(o, r, truth) {
		s.succeeded++
	}
	switch o.kind {
	case opLookup, opSeek, opProvide, opPut:
		s.recall.add(w.among(r, truth), len(truth))
		s.stored.add(int64(r.Stats.StoredAt))
	default:
		s.overlap.add(w.holding(o.content, truth), len(truth))
	}
}

// succeeded reports whether an operation reached its goal.
func (w *World) succeeded(o *op, r *dht.Result, truth []uint32) bool {
	switch o.kind {
	case opLookup, opSeek: // found the nearest peer of all
		if len(r.Closest) == 0 || len(truth) == 0 {
			return false
		}
		num, ok := w.number(r.Closest[0].ID)
		return ok && num == truth[0]
	case opProvide, opPut:
		return r.Stats.StoredAt > 0
	case opGet:
		return r.Value.Value != nil && string(r.Value.Value) == string(o.content.bytes())
	default:
		return o.first >= 0
	}
}

// among counts the peers of truth that a lookup returned.
func (w *World) among(r *dht.Result, truth []uint32) int {
	n := 0
	for i := range r.Closest {
		if num, ok := w.number(r.Closest[i].ID); ok && contains(truth, num) {
			n++
		}
	}
	return n
}

// holding counts those of a list that hold a content's record.
func (w *World) holding(c *content, list []uint32) int {
	n := 0
	for _, num := range list {
		for _, h := range c.holders {
			if h.node.num == num && h.serves(w.now) {
				n++
				break
			}
		}
	}
	return n
}

func (h *holder) serves(now time.Duration) bool { return h.node.up() && now < h.expires }
