package node

import "context"

// joining tells callers how far the node has come into its network.
type joining struct {
	attempted chan struct{} // closed by the loop: the first attempt is over
	joined    chan struct{} // closed by the loop: and a peer has answered
	isOver    bool          // attempted is closed; owned by the loop
	isIn      bool          // joined is closed; owned by the loop
}

func newJoining() joining {
	return joining{attempted: make(chan struct{}), joined: make(chan struct{})}
}

// Joined returns nil once the node is part of its network: the first attempt to reach its
// bootstrap peers is over (see Bootstrapped), and a peer, whichever, has answered a request
// of this node. A node that nobody answers goes on trying, and Joined goes on waiting: give
// it a ctx that ends. Once it has returned nil it returns nil at once; Status tells whether
// a peer answers now (IsolatedSince). Errors: that of ctx, ErrClosed.
func (n *Node) Joined(ctx context.Context) error { return n.await(ctx, n.joining.joined) }

// Bootstrapped waits until the first attempt to reach the bootstrap peers is over: each has
// been dialled, for ten seconds at most; or there are none; or a peer answers to a node
// that was restored from a snapshot, which needs no other. It returns why those that were
// not reached, in the last attempt so far, were not; each wraps an *rpc.DialError. They are
// tried again while the table is low. err is that of ctx, or ErrClosed.
func (n *Node) Bootstrapped(ctx context.Context) (failures []error, err error) {
	if err := n.await(ctx, n.joining.attempted); err != nil {
		return nil, err
	}
	if p := n.dialFailures.Load(); p != nil {
		failures = *p
	}
	return failures, nil
}

// await waits for the end of ch, even if ctx is over by then.
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

// noteJoined closes the channels that are due. It is called by the loop.
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
	if j.isOver && verified > 0 {
		j.isIn = true
		close(j.joined)
	}
}
