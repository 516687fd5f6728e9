package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// restoreTTL is how long restored addresses stay in the peerstore: until the
// probes are through.
const restoreTTL = 10 * time.Minute

// restore gives the Machine the last snapshot and the published keys. It runs
// before the loop. A failure loses neither: the node starts without them.
func (n *Node) restore() error {
	now := time.Now()
	peers, snapErr := n.restorePeers(now)
	n.restored = len(peers)
	keysErr := n.cfg.Keystore.Range(kad.Prefix{}, func(p records.Published) bool {
		n.machine.Scheduled(now, republishItem(uint8(p.Kind), p.Key), p.Due, true)
		return true
	})
	n.machine.Restored(now, peers)
	return errors.Join(snapErr, keysErr)
}

// restorePeers returns the peers of the last snapshot and gives their addresses to
// the host.
func (n *Node) restorePeers(now time.Time) ([]kad.Peer, error) {
	s, err := n.cfg.Snapshots.LoadSnapshot()
	if errors.Is(err, records.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("node: restore: %w", err)
	}
	peers := make([]kad.Peer, 0, len(s.Peers))
	for i := range s.Peers {
		p := &s.Peers[i]
		id, err := peer.IDFromBytes([]byte(p.ID))
		if err != nil || id == n.host.ID() {
			continue
		}
		addrs := rpc.Multiaddrs(p.Addrs)
		n.cfg.Gate.Allow(p.Scope, addrs)
		n.host.Peerstore().AddAddrs(id, addrs, restoreTTL)
		peers = append(peers, kad.NewPeer(p.ID))
	}
	if len(peers) > 0 {
		n.log.Info("peers taken from the snapshot, each is asked before it is trusted",
			"peers", len(peers), "age", now.Sub(s.Taken).Round(time.Second).String())
	}
	return peers, nil
}

// startBootstrap looks for a way into the network unless that is going on
// already: through the bootstrap peers and, while nobody at all answers, through
// those of the last snapshot once more, for they may have been out of reach when
// the node started. It is called by the loop.
func (n *Node) startBootstrap() {
	_, verified := n.machine.Table().Len()
	lost := verified == 0 && (n.restored > 0 || n.savedGeneration > 0)
	if len(n.cfg.Bootstrap) == 0 {
		n.bootstraps.skipped.Add(1)
		n.bootstrapped.Store(true)
		if !lost {
			return
		}
	}
	if !n.bootstrapping.CompareAndSwap(false, true) {
		return
	}
	peers := n.cfg.Bootstrap
	n.workers.Add(1)
	go func() {
		defer n.workers.Done()
		defer n.bootstrapping.Store(false)
		if lost {
			n.restoreAgain()
		}
		if len(peers) > 0 {
			n.dialBootstrap(peers)
		}
	}()
}

func (n *Node) restoreAgain() {
	peers, err := n.restorePeers(time.Now())
	if err != nil {
		n.log.Error("snapshot could not be read", "err", err)
	}
	for _, p := range peers {
		n.found(peer.ID(p.ID))
	}
}

func (n *Node) dialBootstrap(peers []peer.AddrInfo) {
	reached, errs := n.Connect(n.ctx, peers)
	if len(reached) > 0 {
		n.bootstraps.reached.Add(1)
	} else {
		n.bootstraps.failed.Add(1)
	}
	n.dialFailures.Store(&errs)
	n.bootstrapped.Store(true)
}
