package node

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// request sends one request of the Machine and posts the outcome to the loop. It prepares
// the answer outside the loop: it validates records, filters addresses and adds them to the
// peerstore, and computes keys.
func (n *Node) request(ctx context.Context, s dht.Send) {
	defer n.workers.Done()
	to := peer.ID(s.To.ID)
	n.ensureAddrs(s.To.ID)
	reply, err := n.roundTrip(n.dialing(ctx), to, s)
	if err != nil {
		err = classify(err)
		n.ended(s.ID, func(now time.Time, m *dht.Machine) { m.Failed(now, s.ID, err) })
		return
	}
	resp := dht.Response{Message: reply.Message}
	var known *contact
	if reply.Message != nil {
		known = n.contactOf(to, reply)
		resp.RTT = reply.RTT
		resp.Group = kbucket.Group(rpc.GroupOf(reply.Addr, reply.Scope))
		n.prepare(s, known.scope, &resp)
	}
	n.ended(s.ID, func(now time.Time, m *dht.Machine) {
		if known != nil {
			n.book.note(s.To.ID, known)
		}
		m.Responded(now, s.ID, resp)
	})
}

func (n *Node) roundTrip(ctx context.Context, to peer.ID, s dht.Send) (rpc.Reply, error) {
	if s.NoReply {
		_, err := n.client.Notify(ctx, to, n.withAddrs(s.Message, to))
		return rpc.Reply{}, err
	}
	if s.Message.Type != wire.GetProviders {
		return n.client.Request(ctx, to, s.Message)
	}
	return n.client.RequestParts(ctx, to, s.Message, func(part rpc.Reply) {
		ps := n.hear(part.Message.ProviderPeers, part.Scope, true)
		_ = n.do(func(now time.Time, m *dht.Machine) { m.Found(now, s.ID, ps) })
	})
}

// contactOf returns the contact of a peer that has just answered.
func (n *Node) contactOf(id peer.ID, r rpc.Reply) *contact {
	addrs := addrBytes(n.host.Peerstore().Addrs(id))
	return newContact(kad.PeerID(id), addrs, r.Scope, r.RTT)
}

// withAddrs returns an ADD_PROVIDER of this node with its current addresses, those within
// the scope of the receiver.
func (n *Node) withAddrs(msg *wire.Message, to peer.ID) *wire.Message {
	scope := wire.ScopePublic
	if conn := n.connTo(to); conn != nil {
		scope = n.scopeOf(conn)
	} else if c := n.view.Load().contacts[kad.PeerID(to)]; c != nil {
		scope = c.scope
	}
	m := *msg
	m.ProviderPeers = []wire.Peer{{ID: n.self.ID, Addrs: rpc.FilterBytes(nil, n.self.ID, addrBytes(n.host.Addrs()), scope)}}
	return &m
}

// failure is the error of an RPC together with the Machine's error for it.
type failure struct {
	error
	means error
}

// Unwrap makes errors.Is find both.
func (f failure) Unwrap() []error { return []error{f.error, f.means} }

// classify adds the Machine's error for peers that do not serve the protocol, are at a
// limit, or refused the request.
func classify(err error) error {
	switch {
	case errors.Is(err, rpc.ErrUnsupported):
		return failure{err, dht.ErrNotServer}
	case errors.Is(err, rpc.ErrLimited):
		return failure{err, dht.ErrLimited}
	case errors.Is(err, rpc.ErrNoReply):
		return failure{err, dht.ErrRefused}
	}
	return err
}

// connTo returns a connection to p that is not a limited one (through a relay), or nil.
func (n *Node) connTo(p peer.ID) network.Conn {
	for _, c := range n.host.Network().ConnsToPeer(p) {
		if !c.Stat().Limited {
			return c
		}
	}
	return nil
}

// ensureAddrs adds the addresses of a table peer to the peerstore if they have expired
// there.
func (n *Node) ensureAddrs(id kad.PeerID) {
	c := n.view.Load().contacts[id]
	if c == nil || len(n.host.Peerstore().Addrs(peer.ID(id))) > 0 {
		return
	}
	addrs := rpc.Multiaddrs(c.addrs)
	n.cfg.Gate.Allow(c.scope, addrs)
	n.host.Peerstore().AddAddrs(peer.ID(id), addrs, peerstore.TempAddrTTL)
}

// prepare validates the record of an answer and takes its peers.
func (n *Node) prepare(s dht.Send, scope wire.Scope, resp *dht.Response) {
	msg := resp.Message
	if msg.Record != nil && (!n.acceptable(s.Message.Key, msg.Record) || !n.endInTime(msg.Record)) {
		msg.Record = nil
	}
	if len(msg.CloserPeers) > dht.MaxCloser {
		msg.CloserPeers = msg.CloserPeers[:dht.MaxCloser]
	}
	msg.CloserPeers = n.hear(msg.CloserPeers, scope, false)
	msg.ProviderPeers = n.hear(msg.ProviderPeers, scope, true)
	for i := range msg.CloserPeers {
		if id := msg.CloserPeers[i].ID; id != n.self.ID {
			resp.Closer = append(resp.Closer, kad.NewPeer(id))
		}
	}
}

// acceptable reports whether a record is for key and valid.
func (n *Node) acceptable(key []byte, r *wire.Record) bool {
	if string(r.Key) != string(key) || len(r.Value) > n.cfg.MaxValueSize {
		return false
	}
	return n.valid.Validate(string(key), r.Value) == nil
}

// endInTime lowers the lifetime of a valid record to its own end. It returns false if that
// is less than a second away.
func (n *Node) endInTime(r *wire.Record) (ok bool) {
	end, now := n.valid.End(string(r.Key), r.Value), time.Now()
	held := records.HeldExpiry(now, records.WireTTL(r.TTL), r.TimeReceived)
	if end.IsZero() || !end.Before(held) {
		return true
	}
	r.TTL, ok = records.RemainingSeconds(now, end)
	return ok
}

// maxNoted limits the peers of one list, or of one part of a long one, whose addresses are
// added to the peerstore: all closer peers, and as many providers as most content has.
const maxNoted = 128

// hear filters the addresses of peers in an answer and adds them to the peerstore. It drops
// entries with an impossible ID and, unless keep, those without any known address.
func (n *Node) hear(ps []wire.Peer, scope wire.Scope, keep bool) []wire.Peer {
	out := ps[:0]
	for i := range ps {
		p := ps[i]
		id, err := peer.IDFromBytes([]byte(p.ID))
		if err != nil {
			continue
		}
		if p.ID != n.self.ID {
			p.Addrs = rpc.FilterBytes(nil, p.ID, p.Addrs, scope)
			if i < maxNoted {
				n.noteAddrs(id, rpc.Multiaddrs(p.Addrs), scope)
			}
			if len(p.Addrs) == 0 && !keep && len(n.host.Peerstore().Addrs(id)) == 0 {
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

// noteAddrs adds addresses that another peer reported to the peerstore, for the length of a
// few queries. libp2p removes addresses with TempAddrTTL once the peer itself announces its
// addresses, so that this node does not pass on second-hand ones. A connected peer has
// already announced its own.
func (n *Node) noteAddrs(id peer.ID, addrs []ma.Multiaddr, scope wire.Scope) {
	if len(addrs) > 0 && !n.connected(id) {
		n.cfg.Gate.Allow(scope, addrs)
		n.host.Peerstore().AddAddrs(id, addrs, peerstore.TempAddrTTL)
	}
}

// addrBytes returns the binary forms of multiaddrs.
func addrBytes(addrs []ma.Multiaddr) [][]byte {
	out := make([][]byte, len(addrs))
	for i, a := range addrs {
		out[i] = a.Bytes()
	}
	return out
}
