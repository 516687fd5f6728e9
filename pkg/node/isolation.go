package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/dht"
)

// networkChanged is called when this machine gains or loses an address, as when a link
// comes up. The node probes its peers, and tries to reach them at once if none answers.
func (n *Node) networkChanged() {
	n.tryDo(func(now time.Time, m *dht.Machine) { m.Doubt(now) })
}

// noteIsolation logs the beginning and the end of isolation, once each.
func (n *Node) noteIsolation(now time.Time) {
	since, isolated := n.machine.Isolated(now)
	if !since.IsZero() {
		n.bypass = now.Add(bypassAfter)
	}
	n.bypassing.Store(now.Before(n.bypass))
	switch {
	case isolated && n.isolated.IsZero():
		n.isolated = since
		peers, _ := n.machine.Table().Len()
		n.log.Warn("isolated: no peer answers; trying again until one does",
			"since", since.UTC().Format(time.RFC3339), "peers_in_table", peers)
		n.hangUp()
	case !isolated && !n.isolated.IsZero():
		n.log.Info("no longer isolated: a peer has answered", "isolated_for", now.Sub(n.isolated).Round(time.Second).String())
		n.isolated = time.Time{}
	}
}

// hangUp closes the connections to the peers of the table, none of which answers. After an
// outage a new dial is faster than TCP's next retransmission on an old connection.
func (n *Node) hangUp() {
	var silent []peer.ID
	for e := range n.machine.Table().Entries {
		if id := peer.ID(e.Peer.ID); n.connected(id) {
			silent = append(silent, id)
		}
	}
	n.workers.Go(func() {
		for _, id := range silent {
			_ = n.host.Network().ClosePeer(id)
		}
	})
}

// bypassAfter is how long dials still bypass libp2p's backoff after a peer has answered
// again. Meanwhile the Machine probes all peers that failed during the outage.
const bypassAfter = time.Minute

// dialing returns the context for a request or a dial. While no peer answers, and for
// bypassAfter, it bypasses libp2p's dial backoff, which would outlast the outage. libp2p
// then also dials without relays.
func (n *Node) dialing(ctx context.Context) context.Context {
	if n.bypassing.Load() {
		return network.WithForceDirectDial(ctx, "no peer answers")
	}
	return ctx
}
