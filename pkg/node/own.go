package node

import (
	"bytes"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

const (
	// ownMemory is how long an address of our own that has gone is remembered: if it
	// comes back by then, most records still name it.
	ownMemory = time.Hour
	// maxOwn bounds those remembered: the 16 that a node has at most, and those of seven
	// earlier changes. If more come within ownMemory, those that have gone are forgotten.
	maxOwn = 128
)

// own are the addresses that the records of what this node provides name: those it has
// and those it had within the last hour. Owned by the loop.
type own struct {
	gone   map[string]time.Time // since when it is gone; zero: it is not
	public bool                 // only public addresses count
	dirty  bool                 // changed since the last snapshot
}

// restore takes the addresses of the last snapshot, if it has any.
func (o *own) restore(addrs [][]byte, public bool) {
	if len(addrs) == 0 {
		return
	}
	o.gone, o.public = make(map[string]time.Time, len(addrs)), public
	for _, a := range addrs {
		o.gone[string(a)] = time.Time{}
	}
}

// update takes the addresses of now. It reports whether records lack one of them, which
// nobody knows the first time. Private addresses count while there are no public ones:
// most of those who ask are told no others then.
func (o *own) update(now time.Time, public, all [][]byte) (fresh bool) {
	switch {
	case len(public) > 0:
		o.public, all = true, public
	case o.public:
		all = nil
	}
	first := o.gone == nil && len(all) > 0
	if first {
		o.gone = make(map[string]time.Time, len(all))
	}
	have := make(map[string]bool, len(all))
	for _, a := range all {
		have[string(a)] = true
	}
	o.forget(now, have)
	for a := range have {
		since, known := o.gone[a]
		fresh = fresh || !known
		if !known || !since.IsZero() {
			o.gone[a], o.dirty = time.Time{}, true
		}
	}
	return fresh && !first
}

// forget notes which addresses are gone and drops those that have been for long, or all of
// them if those of now might not fit.
func (o *own) forget(now time.Time, have map[string]bool) {
	full := len(o.gone)+len(have) > maxOwn
	for a, since := range o.gone {
		switch {
		case since.IsZero() && !have[a]:
			o.gone[a], o.dirty = now, true
		case !since.IsZero() && (full || now.Sub(since) >= ownMemory):
			delete(o.gone, a)
		}
	}
}

// saved returns the addresses for the snapshot: those that are not gone.
func (o *own) saved() (addrs [][]byte) {
	for a, since := range o.gone {
		if since.IsZero() {
			addrs = append(addrs, []byte(a))
		}
	}
	slices.SortFunc(addrs, bytes.Compare)
	o.dirty = false
	return addrs
}

// announceMoved takes the addresses this node has now. What it provides is announced again
// if records lack one of them.
func (n *Node) announceMoved() {
	all := addrBytes(n.host.Addrs())
	public := rpc.FilterBytes(nil, n.self.ID, all, wire.ScopePublic)
	all = rpc.FilterBytes(nil, n.self.ID, all, wire.ScopeLoopback)
	_ = n.do(func(now time.Time, m *dht.Machine) {
		if n.own.update(now, public, all) {
			m.Moved(now)
		}
	})
}
