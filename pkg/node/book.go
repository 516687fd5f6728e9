package node

import (
	"bytes"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// contact holds the addresses of a peer that answered, and its entry in answers, encoded
// once for each scope. Immutable.
type contact struct {
	addrs [][]byte   // within scope
	scope wire.Scope // of the connection on which the peer answered
	rtt   time.Duration
	raw   [wire.NumScopes][]byte // body of its entry in answers to each scope; nil: it has no address there
}

// newContact returns the contact of a peer with those of addrs that are within scope.
func newContact(id kad.PeerID, addrs [][]byte, scope wire.Scope, rtt time.Duration) *contact {
	c := &contact{scope: scope, rtt: rtt}
	c.addrs = rpc.FilterBytes(nil, id, addrs, scope)
	for s := range wire.Scope(wire.NumScopes) {
		if told := rpc.FilterBytes(nil, id, c.addrs, s); len(told) > 0 {
			c.raw[s] = wire.AppendPeer(nil, &wire.Peer{ID: id, Addrs: told})
		}
	}
	return c
}

// book holds the contacts of the routing table's peers. Owned by the loop.
type book struct {
	contacts map[kad.PeerID]*contact
	dirty    bool // the view is out of date
}

func newBook() book { return book{contacts: make(map[kad.PeerID]*contact)} }

// note sets the contact of a peer.
func (b *book) note(id kad.PeerID, c *contact) {
	old := b.contacts[id]
	b.contacts[id] = c
	if old == nil || !bytes.Equal(old.raw[wire.ScopeLoopback], c.raw[wire.ScopeLoopback]) || old.scope != c.scope {
		b.dirty = true
	}
}

// prune removes the contacts of peers that are no longer in the table.
func (b *book) prune(t *kbucket.Table) {
	keep := make(map[kad.PeerID]*contact, len(b.contacts))
	t.Entries(func(e kbucket.Entry) bool {
		if c, ok := b.contacts[e.Peer.ID]; ok {
			keep[e.Peer.ID] = c
		}
		return true
	})
	b.contacts = keep
}

// view is the state that inbound requests read: the verified peers and their contacts.
// Immutable.
type view struct {
	table      *kbucket.View
	generation uint64
	contacts   map[kad.PeerID]*contact
	at         []*contact // of the table's peers, by their index in table; nil: no contact
}

// place fills at.
func (v *view) place() {
	v.at = make([]*contact, v.table.Len())
	for i := range v.at {
		v.at[i] = v.contacts[v.table.ID(int32(i))]
	}
}

func emptyView() *view { return &view{table: kbucket.New(kad.Key{}, kbucket.Config{}).View()} }

// contactSlack is how many more contacts than table peers the book may hold before it is
// pruned: those of replacements and of peers just evicted.
const contactSlack = 256

// publishView builds a new view if the table or a contact changed.
func (n *Node) publishView() {
	t := n.machine.Table()
	old := n.view.Load()
	if !n.book.dirty && old.generation == t.Generation() {
		return
	}
	if peers, _ := t.Len(); len(n.book.contacts) > peers+contactSlack {
		n.book.prune(t)
	}
	v := &view{table: t.View(), generation: t.Generation(), contacts: make(map[kad.PeerID]*contact)}
	t.Entries(func(e kbucket.Entry) bool {
		if c, ok := n.book.contacts[e.Peer.ID]; ok {
			v.contacts[e.Peer.ID] = c
		}
		return true
	})
	v.place()
	n.book.dirty = false
	n.view.Store(v)
}

// neighbours implements dht.Neighbours with the current view.
type neighbours struct{ n *Node }

const (
	// closerSpare is how many more peers than requested are looked at first: one of them
	// may be the asker.
	closerSpare = 2
	// closerScratch limits the peers that are looked at for one answer: k, and as many
	// again without an address for the asker's scope.
	closerScratch = 40
)

// Closer implements dht.Neighbours.
func (b neighbours) Closer(dst []wire.Peer, target kad.Key, count int, asker kad.PeerID, scope wire.Scope) []wire.Peer {
	v := b.n.view.Load()
	var scratch [closerScratch]int32
	most := min(2*count, closerScratch)
	near := v.table.NearestAt(scratch[:0], &target, min(count+closerSpare, most))
	for i := 0; count > 0; i++ {
		if i == len(near) {
			if i >= most { // otherwise there may be more after those without an address
				break
			}
			if near = v.table.NearestAt(scratch[:0], &target, most); i >= len(near) {
				break
			}
		}
		c, id := v.at[near[i]], v.table.ID(near[i])
		if c == nil || c.raw[scope] == nil || id == asker {
			continue
		}
		dst = append(dst, wire.Peer{ID: id, Raw: c.raw[scope]})
		count--
	}
	return dst
}

// Said implements dht.Neighbours. identify keeps the addresses of connected peers, and so
// the contacts, up to date.
func (b neighbours) Said(dst [][]byte, id kad.PeerID, scope wire.Scope) [][]byte {
	if c := b.n.view.Load().contacts[id]; c != nil {
		return rpc.FilterBytes(dst, id, c.addrs, scope)
	}
	if p := peer.ID(id); b.n.connected(p) {
		return rpc.FilterBytes(dst, id, addrBytes(b.n.host.Peerstore().Addrs(p)), scope)
	}
	return dst
}

// Find implements dht.Neighbours.
func (b neighbours) Find(id kad.PeerID, scope wire.Scope) (wire.Peer, bool) {
	if c := b.n.view.Load().contacts[id]; c != nil {
		return wire.Peer{ID: id, Raw: c.raw[scope]}, c.raw[scope] != nil
	}
	var addrs []ma.Multiaddr
	if id == b.n.self.ID {
		addrs = b.n.host.Addrs()
	} else if _, err := peer.IDFromBytes([]byte(id)); err == nil {
		addrs = b.n.host.Peerstore().Addrs(peer.ID(id))
	}
	told := rpc.FilterBytes(nil, id, addrBytes(addrs), scope)
	return wire.Peer{ID: id, Addrs: told}, len(told) > 0
}
