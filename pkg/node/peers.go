package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// dialTimeout limits one dial of Connect or Ping, pingTimeout the answer to one ping.
const (
	dialTimeout = 10 * time.Second
	pingTimeout = 10 * time.Second
)

// dialsAtOnce limits the concurrent dials of one Connect.
const dialsAtOnce = 16

// Connect dials the given peers, each for ten seconds at most, and makes those that it
// reaches candidates for the routing table. The caller vouches for the addresses, so they
// may be private. Connect returns the peers that it reached and the errors of the others,
// both in the order of peers; each error is an *rpc.DialError.
func (n *Node) Connect(ctx context.Context, peers []peer.AddrInfo) (reached []peer.ID, errs []error) {
	for i, err := range n.connect(ctx, peers) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		reached = append(reached, peers[i].ID)
	}
	return reached, errs
}

// connect is Connect that returns the result for each peer.
func (n *Node) connect(ctx context.Context, peers []peer.AddrInfo) []error {
	results := make([]error, len(peers))
	var wg sync.WaitGroup
	slots := make(chan struct{}, dialsAtOnce)
	for i, ai := range peers {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			n.cfg.Gate.Allow(wire.ScopeLoopback, ai.Addrs)
			if err := n.host.Connect(n.dialing(ctx), ai); err != nil {
				results[i] = rpc.NewDialError(ai.ID, err, ai.Addrs...)
			}
		})
	}
	wg.Wait()
	for i, err := range results {
		if err == nil {
			n.found(peers[i].ID)
		}
	}
	return results
}

// FindPeer returns the addresses of a peer. If the host is connected to it, or becomes
// connected during the lookup, they are those that the peer itself announced. Otherwise
// they are those that it announced when it was connected, followed by those that the peers
// nearest to it know, nearest first. Errors: ErrNotFound, ErrNoAnswer.
func (n *Node) FindPeer(ctx context.Context, id peer.ID) (peer.AddrInfo, error) {
	if err := id.Validate(); err != nil {
		return peer.AddrInfo{}, fmt.Errorf("find peer: %w", err)
	}
	if id == n.host.ID() {
		return peer.AddrInfo{ID: id, Addrs: n.host.Addrs()}, nil
	}
	if ai, ok := n.ownWord(id); ok {
		return ai, nil
	}
	res, err := n.query(ctx, dht.Query{Kind: dht.FindPeer, Key: []byte(id)})
	if ai, ok := n.ownWord(id); ok {
		return ai, nil
	}
	k := kad.PeerID(id)
	addrs := append(neighbours{n}.Said(nil, k, wire.ScopeLoopback), res.Peer.Addrs...)
	ai := peer.AddrInfo{ID: id, Addrs: rpc.Multiaddrs(rpc.InScope(nil, k, addrs, wire.ScopeLoopback))}
	if err == nil && len(ai.Addrs) == 0 {
		err = ErrNotFound // the peer is known, but no address of it
	}
	return ai, err
}

// ownWord returns the addresses that a connected peer announced itself: after identify the
// peerstore has those.
func (n *Node) ownWord(id peer.ID) (peer.AddrInfo, bool) {
	if !n.connected(id) {
		return peer.AddrInfo{}, false
	}
	ai := n.host.Peerstore().PeerInfo(id)
	return ai, len(ai.Addrs) > 0
}

// Closest returns the k peers nearest to key that answer, nearest first, without this
// node. Errors: ErrInvalidKey for an empty key, ErrNoAnswer.
func (n *Node) Closest(ctx context.Context, key []byte) ([]peer.AddrInfo, error) {
	if len(key) == 0 {
		return nil, fmt.Errorf("%w: empty", ErrInvalidKey)
	}
	res, err := n.query(ctx, dht.Query{Kind: dht.FindClosest, Key: key})
	if err != nil {
		return nil, err
	}
	out := make([]peer.AddrInfo, len(res.Closest))
	for i, p := range res.Closest {
		out[i] = n.addrInfo(p.ID)
	}
	return out, nil
}

func (n *Node) addrInfo(id kad.PeerID) peer.AddrInfo {
	ai := n.host.Peerstore().PeerInfo(peer.ID(id))
	if c := n.view.Load().contacts[id]; c != nil && len(c.addrs) > 0 {
		ai.Addrs = rpc.Multiaddrs(c.addrs)
	}
	return ai
}

// Ping measures one round trip to a peer with libp2p's ping, or with the DHT's own PING if
// the peer does not have that. The dial and each ping take ten seconds at most. Without
// addresses, Ping looks the peer up first. Errors: those of FindPeer, of the dial and of
// the ping.
func (n *Node) Ping(ctx context.Context, ai peer.AddrInfo) (time.Duration, error) {
	if len(ai.Addrs) == 0 && !n.connected(ai.ID) {
		found, err := n.FindPeer(ctx, ai.ID)
		if err != nil {
			return 0, fmt.Errorf("ping: %w", err)
		}
		ai = found
	} else {
		n.cfg.Gate.Allow(wire.ScopeLoopback, ai.Addrs)
	}
	rtt, err := n.roundTripTo(ctx, ai)
	if err != nil {
		return 0, fmt.Errorf("ping: %w", err)
	}
	return rtt, nil
}

// roundTripTo dials a peer and measures one round trip.
func (n *Node) roundTripTo(ctx context.Context, ai peer.AddrInfo) (time.Duration, error) {
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := n.host.Connect(dialCtx, ai); err != nil {
		return 0, rpc.NewDialError(ai.ID, err, ai.Addrs...)
	}
	rtt, err := n.libp2pPing(ctx, ai.ID)
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		return rtt, err // a peer that does not answer one ping does not answer the other
	}
	start := time.Now()
	_, err = n.client.Request(ctx, ai.ID, &wire.Message{Type: wire.Ping, Key: []byte("ping")})
	return time.Since(start), err
}

// libp2pPing measures one round trip with libp2p's ping.
func (n *Node) libp2pPing(ctx context.Context, id peer.ID) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(network.WithAllowLimitedConn(ctx, "ping"), pingTimeout)
	defer cancel()
	r, ok := <-ping.Ping(ctx, n.host, id)
	if !ok { // ctx has ended
		return 0, ctx.Err()
	}
	return r.RTT, r.Error
}

// RepublishNow makes every published key due now, except those being published, and
// returns at once. Status().Republish shows the progress. Error: ErrClosed.
func (n *Node) RepublishNow() error {
	return n.ask(func(now time.Time, m *dht.Machine) { m.RepublishAll(now) })
}
