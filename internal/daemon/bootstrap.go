package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// ErrUnreachable is returned when none of the bootstrap peers could be used.
var ErrUnreachable = errors.New("no bootstrap peer could be reached")

// unreachable returns an ErrUnreachable that lists why each bootstrap peer failed.
func unreachable(failures []error) error {
	lines := make([]string, len(failures))
	for i, err := range failures {
		lines[i] = "\n  " + DialFailure(err)
	}
	return fmt.Errorf("%w:%s", ErrUnreachable, strings.Join(lines, ""))
}

// noneReached returns the error of unreachable if there were dials and all failed.
func noneReached(dials []node.BootstrapDial) error {
	var failures []error
	for _, d := range dials {
		if d.Err == nil {
			return nil
		}
		failures = append(failures, d.Err)
	}
	if len(failures) == 0 {
		return nil
	}
	return unreachable(failures)
}

// DialFailure formats the error of a bootstrap peer on one line: the peer, then each
// address with its reason.
func DialFailure(err error) string {
	var dial *rpc.DialError
	if errors.As(err, &dial) {
		return dial.Peer.String() + ": " + dial.Reasons.String()
	}
	return plain(err)
}

// bootstrapResult is the result of dialling the bootstrap peers at start.
type bootstrapResult struct {
	done    chan struct{} // closed once the rest is set
	reached []peer.ID
	failed  []error
}

// reachBootstrap waits until the node has dialled its bootstrap peers, or does not need
// them because restored peers answer. It logs each failure.
func (d *Daemon) reachBootstrap(ctx context.Context) {
	defer close(d.bootstrap.done)
	peers, _ := ParseBootstrap(d.config.Network.Bootstrap) // checked at start
	if len(peers) == 0 {
		return
	}
	failed, err := d.node.Bootstrapped(ctx)
	if err != nil {
		return
	}
	d.bootstrap.failed = failed
	for _, p := range peers {
		if d.host.Network().Connectedness(p.ID) == network.Connected {
			d.bootstrap.reached = append(d.bootstrap.reached, p.ID)
		}
	}
	if len(failed) == 0 && d.node.Status().Bootstraps.Reached == 0 { // the dials are not over
		d.log.Info("restored peers answer; bootstrap peers are not needed")
		return
	}
	for _, err := range failed {
		d.log.Warn("bootstrap peer not reached; the node retries it while the routing table is low", "err", DialFailure(err))
	}
	d.log.Info("bootstrap peers dialled", "reached", len(d.bootstrap.reached), "of", len(peers))
}

// Bootstrapped waits until the bootstrap peers have been dialled. It returns the peers
// reached and the errors of the others. The error is ErrUnreachable, with each failure,
// if there are bootstrap peers and none was reached.
//
// After a start from a snapshot the wait also ends when a restored peer answers. Then reached
// has the bootstrap peers that are connected by then, perhaps none, and failed and err are nil.
func (d *Daemon) Bootstrapped(ctx context.Context) (reached []peer.ID, failed []error, err error) {
	select {
	case <-d.bootstrap.done:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	b := &d.bootstrap
	if len(b.reached) == 0 && len(b.failed) > 0 {
		err = unreachable(b.failed)
	}
	return b.reached, b.failed, err
}

// WaitForPeer waits until the node has joined its network (node.Joined). It gives up when
// the bootstrap peers have been dialled and for joinQuiet there was no peer left to ask.
func (d *Daemon) WaitForPeer(ctx context.Context) error { return waitForPeer(ctx, d.node) }

const (
	// joinQuiet is how long a connected node waits for a peer to ask before it gives up: a
	// peer may register the protocol after it was identified (py-libp2p's demo).
	joinQuiet = 3 * time.Second
	// joinLook is how often WaitForPeer checks whether there is one.
	joinLook = 100 * time.Millisecond
)

// waitForPeer gives up when the first attempt is over and for joinQuiet there was no peer left
// to ask.
func waitForPeer(ctx context.Context, n *node.Node) error {
	if _, err := n.Bootstrapped(ctx); err != nil {
		return fmt.Errorf("dialling the bootstrap peers: %w", err)
	}
	for asked := time.Now(); time.Since(asked) < joinQuiet; {
		err := joinedWithin(ctx, n, joinLook)
		if !errors.Is(err, context.DeadlineExceeded) {
			return err // nil, context.Canceled or node.ErrClosed
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nobodyAnswers(n, err)
		}
		if isAsking(n) {
			asked = time.Now()
		}
	}
	return nobodyAnswers(n, errNotSpoken)
}

func joinedWithin(ctx context.Context, n *node.Node, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return n.Joined(ctx)
}

// isAsking reports whether the node asks peers that are not in the table yet, or is about to.
func isAsking(n *node.Node) bool {
	l := n.Status().Load
	return l.Probes+l.Candidates > 0
}

// errNotSpoken is the reason that a connected peer is not usable.
var errNotSpoken = errors.New("none of the connected peers supports it")

func nobodyAnswers(n *node.Node, why error) error {
	return fmt.Errorf("connected, but no peer answers %s: %w; is it the right network (network.protocol_prefix)?", n.Protocol(), why)
}
