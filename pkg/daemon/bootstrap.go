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
)

// pollPeers is how often the table is looked at while its first peer is awaited.
const pollPeers = 10 * time.Millisecond

// ErrUnreachable is returned when none of the bootstrap peers could be used.
var ErrUnreachable = errors.New("daemon: no bootstrap peer could be reached")

// unreachable lists why each bootstrap peer failed.
func unreachable(failures []error) error {
	lines := make([]string, len(failures))
	for i, err := range failures {
		lines[i] = "\n  " + DialFailure(err)
	}
	return fmt.Errorf("%w:%s", ErrUnreachable, strings.Join(lines, ""))
}

// DialFailure is the error of a bootstrap peer on one line: the peer, then each
// address with its reason. libp2p says that a dial failed three times over.
func DialFailure(err error) string {
	text := strings.TrimPrefix(plain(err), "bootstrap peer ")
	id, rest, ok := strings.Cut(text, ": ")
	_, reasons, listed := strings.Cut(rest, "all dials failed * ")
	if !ok || !listed {
		return text
	}
	return id + ": " + strings.ReplaceAll(reasons, " * [", "; [")
}

// bootstrapResult is what became of the bootstrap peers at start.
type bootstrapResult struct {
	done    chan struct{} // closed once the rest is set
	reached []peer.ID
	failed  []error
}

// reachBootstrap waits until the node has asked its bootstrap peers, or has found
// restored ones and need not, and logs each failure.
func (d *Daemon) reachBootstrap(ctx context.Context) {
	defer close(d.bootstrap.done)
	peers, _ := ParseBootstrap(d.config.Network.Bootstrap) // checked at start
	if len(peers) == 0 || d.awaitBootstrap(ctx) != nil {
		return
	}
	for _, p := range peers {
		if d.host.Network().Connectedness(p.ID) == network.Connected {
			d.bootstrap.reached = append(d.bootstrap.reached, p.ID)
		}
	}
	d.bootstrap.failed = d.node.DialFailures()
	for _, err := range d.bootstrap.failed {
		d.log.Warn("bootstrap peer not reached; it will be tried again while the table is low", "error", DialFailure(err))
	}
	d.log.Info("bootstrap peers asked", "reached", len(d.bootstrap.reached), "of", len(peers))
}

// awaitBootstrap waits for the end of the first attempt.
func (d *Daemon) awaitBootstrap(ctx context.Context) error {
	tick := time.NewTicker(pollPeers)
	defer tick.Stop()
	for last := false; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if last {
			return nil
		}
		s := d.node.Status()
		tried := s.Bootstraps.Reached+s.Bootstraps.Failed > 0
		last = tried || s.RestoredPeers > 0 && s.VerifiedPeers > 0 // once more: the failures are noted last
	}
}

// Bootstrapped waits until the bootstrap peers were asked and returns those reached
// and why the others were not. ErrUnreachable, with each failure, if there were
// some and none was reached.
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

// WaitForPeer waits until the table has a verified peer.
func (d *Daemon) WaitForPeer(ctx context.Context) error { return waitForPeer(ctx, d.node) }

// joinQuiet is for how long nobody may be left to ask before a connected node gives
// up: a peer may register the protocol after it was identified (py-libp2p's demo).
const joinQuiet = 3 * time.Second

func waitForPeer(ctx context.Context, n *node.Node) error {
	tick := time.NewTicker(pollPeers)
	defer tick.Stop()
	for asked := time.Now(); ; {
		s := n.Status()
		switch {
		case s.VerifiedPeers > 0:
			return nil
		case s.Load.Probes+s.Load.Candidates > 0:
			asked = time.Now()
		case time.Since(asked) > joinQuiet:
			return nobodyAnswers(n, errNotSpoken)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nobodyAnswers(n, ctx.Err())
		}
	}
}

// errNotSpoken is why a connected peer is of no use.
var errNotSpoken = errors.New("none of them speaks it")

func nobodyAnswers(n *node.Node, why error) error {
	return fmt.Errorf("daemon: connected, but no peer answers %s: %w; is it the right network (network.protocol_prefix)?", n.Protocol(), why)
}
