package node

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// eventQueue limits the host's events that wait to be read. When a bootstrap node restarts,
// identify completes for hundreds of peers at once.
const eventQueue = 1024

func (n *Node) subscribe() (event.Subscription, error) {
	return n.host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerProtocolsUpdated),
		new(event.EvtLocalReachabilityChanged),
		new(event.EvtLocalAddressesUpdated),
	}, eventbus.BufSize(eventQueue), eventbus.Name("holdfast"))
}

// readEvents passes the host's events to the Machine. It owns no state.
func (n *Node) readEvents() {
	defer n.workers.Done()
	for ev := range n.events.Out() {
		switch e := ev.(type) {
		case event.EvtPeerIdentificationCompleted:
			n.identified(e.Peer, e.Conn)
			n.allowOwn(e.Conn, e.ListenAddrs)
			if slices.Contains(e.Protocols, n.cfg.protocol()) {
				n.found(e.Peer)
			}
		case event.EvtPeerProtocolsUpdated:
			n.protocolsChanged(e.Peer, e.Added, e.Removed)
		case event.EvtLocalReachabilityChanged:
			n.reachabilityChanged(e.Reachability)
		case event.EvtLocalAddressesUpdated:
			n.noteOwnAddrs()
			n.networkChanged()
			n.announceMoved()
		}
	}
}

// identified updates the addresses of a table peer with those that it has just announced,
// so that answers name its current addresses, not those on which it last answered.
func (n *Node) identified(p peer.ID, conn network.Conn) {
	id := kad.PeerID(p)
	if _, ok := n.view.Load().contacts[id]; !ok {
		return
	}
	addrs, scope := addrBytes(n.host.Peerstore().Addrs(p)), n.scopeOf(conn)
	_ = n.do(func(time.Time, *dht.Machine) {
		old := n.book.contacts[id]
		if old == nil {
			return
		}
		if c := newContact(id, addrs, scope, old.rtt); len(c.addrs) > 0 {
			n.book.note(id, c)
		}
	})
}

func (n *Node) protocolsChanged(p peer.ID, added, removed []protocol.ID) {
	switch {
	case slices.Contains(added, n.cfg.protocol()):
		n.found(p)
	case slices.Contains(removed, n.cfg.protocol()):
		k := kad.NewPeer(kad.PeerID(p))
		_ = n.do(func(now time.Time, m *dht.Machine) { m.PeerGone(now, k) })
	}
}

// reachabilityChanged makes a node in ModeAuto serve while it is publicly reachable.
func (n *Node) reachabilityChanged(r network.Reachability) {
	n.reachability.Store(int32(r))
	if n.cfg.Mode != ModeAuto {
		return
	}
	serve := r == network.ReachabilityPublic
	if serve == n.server.Serving() {
		return
	}
	n.server.SetServing(serve)
	n.log.Info("mode follows reachability", "serving", serve, "reachability", r.String())
}
