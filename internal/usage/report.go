package usage

import (
	"cmp"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Cost is the cost of one peer, or of several together.
type Cost struct {
	Requests [NumTypes]uint64 // inbound, by wire.Type; the last: unknown types
	Rejected uint64           // of Requests
	BytesIn  uint64           // requests, without frame prefixes
	BytesOut uint64           // replies
	Busy     time.Duration    // from each whole request to its written reply
	Stored   uint64           // records stored, republished ones included
	First    time.Time        // zero: never
	Last     time.Time
}

// Total returns the requests of all types.
func (c *Cost) Total() (n uint64) {
	for _, r := range c.Requests {
		n += r
	}
	return n
}

// Peer is the cost of one peer.
type Peer struct {
	ID peer.ID
	Cost
}

// Report is a snapshot of an Account.
type Report struct {
	Peers  []Peer // peers that are counted separately, most bytes first
	Others Cost   // of all others together
}

// Report returns the counts up to now.
func (a *Account) Report() Report {
	r := Report{Others: a.others.cost()}
	for i := range a.shards {
		sh := &a.shards[i]
		sh.mu.RLock()
		for _, e := range sh.ring {
			r.Peers = append(r.Peers, Peer{ID: e.id, Cost: e.cost()})
		}
		sh.mu.RUnlock()
	}
	slices.SortFunc(r.Peers, func(a, b Peer) int {
		return cmp.Or(cmp.Compare(b.BytesIn+b.BytesOut, a.BytesIn+a.BytesOut), cmp.Compare(b.Total(), a.Total()), cmp.Compare(a.ID, b.ID))
	})
	return r
}

func (c *counters) cost() Cost {
	out := Cost{
		Rejected: c.rejected.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Busy: time.Duration(c.busy.Load()), Stored: c.stored.Load(),
		First: moment(c.first.Load()), Last: moment(c.last.Load()),
	}
	for t := range out.Requests {
		out.Requests[t] = c.requests[t].Load()
	}
	return out
}

func moment(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}
