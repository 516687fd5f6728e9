package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// restoreTTL is how long restored addresses stay in the peerstore: until all restored peers
// have been probed.
const restoreTTL = 10 * time.Minute

// restore loads the last snapshot and the published keys into the Machine, before the loop
// starts. If one cannot be read, the node starts without it.
func (n *Node) restore() error {
	now := time.Now()
	peers, last, snapErr := n.restorePeers(0, records.MaxSnapshotPeers)
	n.own.restore(last.Own, len(rpc.FilterBytes(nil, n.self.ID, last.Own, wire.ScopePublic)) > 0)
	n.restored = len(peers)
	if len(peers) > 0 {
		n.log.Info("restored peers from the snapshot; each is probed before it is used",
			"peers", len(peers), "age", now.Sub(last.Taken).Round(time.Second).String())
	}
	keysErr := n.cfg.Keystore.Range(kad.Prefix{}, func(p records.Published) bool {
		it := republishItem(uint8(p.Kind), p.Key)
		n.machine.Scheduled(now, it, p.Due, true)
		if p.Last.IsZero() {
			n.unannounced.add(it)
		}
		return true
	})
	n.machine.Restored(now, peers)
	return errors.Join(snapErr, keysErr)
}

// restorePeers returns up to most peers of the last snapshot, starting at index from modulo
// their number, and the snapshot. It adds their addresses to the peerstore.
func (n *Node) restorePeers(from, most int) (peers []kad.Peer, s records.Snapshot, err error) {
	s, err = n.cfg.Snapshots.LoadSnapshot()
	if errors.Is(err, records.ErrNotFound) {
		return nil, s, nil
	}
	if err != nil {
		return nil, s, fmt.Errorf("restore: %w", err)
	}
	for i := range min(most, len(s.Peers)) {
		p := &s.Peers[(from+i)%len(s.Peers)]
		id, err := peer.IDFromBytes([]byte(p.ID))
		if err != nil || id == n.host.ID() {
			continue
		}
		addrs := rpc.Multiaddrs(p.Addrs)
		n.cfg.Gate.Allow(p.Scope, addrs)
		n.host.Peerstore().AddAddrs(id, addrs, restoreTTL)
		peers = append(peers, kad.NewPeer(p.ID))
	}
	return peers, s, nil
}

// startBootstrap starts an attempt to reach the bootstrap peers, unless one is running.
// While no peer answers, the attempt includes the peers of the last snapshot, which may
// have been unreachable at the start. The loop calls it.
func (n *Node) startBootstrap() {
	if len(n.cfg.Bootstrap) == 0 {
		n.bootstraps.skipped.Add(1)
		n.bootstrapped.Store(true)
	}
	again := 0
	if _, verified := n.machine.Table().Len(); verified == 0 && (n.restored > 0 || n.savedGeneration > 0) {
		again = records.MaxSnapshotPeers
	}
	n.reach(0, again)
}

// retry tries to reach the network while no peer answers. The Machine probes the peers of
// its table; if it has none, retry probes those of the snapshot, a few at a time.
func (n *Node) retry() {
	n.cfg.Retrying()
	again := 0
	if peers, _ := n.machine.Table().Len(); peers == 0 {
		again = dht.MaxProbes
	}
	if n.reach(n.retried, again) {
		n.retried = (n.retried + again) % records.MaxSnapshotPeers
	}
}

// reach dials the bootstrap peers and probes up to again peers of the last snapshot, from
// index from on. It returns false if an attempt is already running or there is no peer to
// try.
func (n *Node) reach(from, again int) bool {
	peers := n.cfg.Bootstrap
	if again == 0 && len(peers) == 0 || !n.bootstrapping.CompareAndSwap(false, true) {
		return false
	}
	n.workers.Go(func() {
		defer n.reached()
		if again > 0 {
			n.restoreAgain(from, again)
		}
		if len(peers) > 0 {
			n.dialBootstrap(peers)
		}
	})
	return true
}

// reached ends an attempt. If the bootstrap peers have changed meanwhile, the next one
// starts.
func (n *Node) reached() {
	n.bootstrapping.Store(false)
	_ = n.do(func(time.Time, *dht.Machine) {
		if n.redial {
			n.redial = !n.reach(0, 0)
		}
	})
}

func (n *Node) restoreAgain(from, again int) {
	peers, _, err := n.restorePeers(from, again)
	if err != nil {
		n.log.Error("snapshot could not be read", "err", err)
	}
	for _, p := range peers {
		n.found(peer.ID(p.ID))
	}
}

func (n *Node) dialBootstrap(peers []peer.AddrInfo) {
	errs := n.connect(n.ctx, peers)
	if slices.Contains(errs, nil) {
		n.bootstraps.reached.Add(1)
	} else {
		n.bootstraps.failed.Add(1)
	}
	dials := make([]BootstrapDial, len(peers))
	for i, err := range errs {
		dials[i] = BootstrapDial{Peer: peers[i].ID, At: time.Now(), Err: err}
	}
	_ = n.do(func(time.Time, *dht.Machine) {
		n.keepDials(dials)
		n.bootstrapped.Store(true)
	})
}
