package node

import (
	"context"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
)

// joining lets callers wait until the node has joined its network.
type joining struct {
	attempted chan struct{} // closed by the loop once the first attempt is over
	joined    chan struct{} // closed by the loop once a peer has answered as well
	isOver    bool          // attempted is closed; owned by the loop
	isIn      bool          // joined is closed; owned by the loop
}

func newJoining() joining {
	return joining{attempted: make(chan struct{}), joined: make(chan struct{})}
}

// Joined waits until the node is part of its network: the first attempt to reach the
// bootstrap peers is over (see Bootstrapped), and a peer has answered a request of this
// node. While no peer answers, the node keeps trying and Joined keeps waiting, so ctx should
// have a deadline. A node with Config.First does not wait for an answer. After the first
// success Joined always returns nil; whether a peer answers now is in
// Status().IsolatedSince. Errors: that of ctx, ErrClosed.
func (n *Node) Joined(ctx context.Context) error { return n.await(ctx, n.joining.joined) }

// Bootstrapped waits until the first attempt to reach the bootstrap peers is over: each has
// been dialled, for ten seconds at most, or there are none. A node restored from a snapshot
// needs no bootstrap peer: there the wait also ends when a restored peer answers.
//
// failures has an error for each bootstrap peer that the last attempt did not reach; each
// wraps an *rpc.DialError. The node tries these peers again while its table is low. err is
// that of ctx, or ErrClosed.
func (n *Node) Bootstrapped(ctx context.Context) (failures []error, err error) {
	if err := n.await(ctx, n.joining.attempted); err != nil {
		return nil, err
	}
	for _, d := range n.bootstrapDials() {
		if d.Err != nil {
			failures = append(failures, d.Err)
		}
	}
	return failures, nil
}

// bootstrapDials returns the dials of the last attempt to reach the bootstrap peers.
func (n *Node) bootstrapDials() []BootstrapDial {
	if p := n.lastDials.Load(); p != nil {
		return *p
	}
	return nil
}

// keepDials keeps the dials of those peers that are still bootstrap peers. The loop calls it.
func (n *Node) keepDials(dials []BootstrapDial) {
	left := slices.DeleteFunc(slices.Clone(dials), func(d BootstrapDial) bool {
		return !slices.ContainsFunc(n.cfg.Bootstrap, func(p peer.AddrInfo) bool { return p.ID == d.Peer })
	})
	n.lastDials.Store(&left)
}

// await waits until ch is closed. If it already is, await returns nil even if ctx has ended.
func (n *Node) await(ctx context.Context, ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	default:
	}
	select {
	case <-ch:
		return nil
	case <-n.stop:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// noteJoined closes the channels of joining that are due. The loop calls it.
func (n *Node) noteJoined() {
	j := &n.joining
	if j.isIn {
		return
	}
	_, verified := n.machine.Table().Len()
	if !j.isOver && (n.bootstrapped.Load() || n.restored > 0 && verified > 0) {
		j.isOver = true
		close(j.attempted)
	}
	if j.isOver && (verified > 0 || n.cfg.First) {
		j.isIn = true
		close(j.joined)
	}
}
