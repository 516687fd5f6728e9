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
	// ownMemory is how long an own address that is gone is remembered: if it comes back
	// within that time, most provider records still contain it.
	ownMemory = time.Hour
	// maxOwn limits the remembered addresses: a node's 16, and those of seven earlier
	// changes. If there are more within ownMemory, those that are gone are forgotten.
	maxOwn = 128
)

// own is the set of addresses in this node's provider records: those that it has, and
// those that it had within the last hour. Owned by the loop.
type own struct {
	gone   map[string]time.Time // by address: when it went; zero: the node has it
	public bool                 // only public addresses count
	dirty  bool                 // changed since the last snapshot
}

// restore adds the addresses of the last snapshot, if it has any.
func (o *own) restore(addrs [][]byte, public bool) {
	if len(addrs) == 0 {
		return
	}
	o.gone, o.public = make(map[string]time.Time, len(addrs)), public
	for _, a := range addrs {
		o.gone[string(a)] = time.Time{}
	}
}

// update sets the current addresses. It reports whether provider records lack one of them;
// the first time that is unknown, so it returns false. Private addresses count only as long
// as the node has no public one.
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

// forget marks addresses that are gone. It drops those gone for ownMemory, or all that are
// gone if the current ones might not fit.
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

// saved returns the current addresses, for the snapshot.
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

// announceMoved updates the node's own addresses. If provider records lack one of them,
// the node republishes its provider records.
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
