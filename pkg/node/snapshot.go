package node

import (
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// snapshotAge is after how many intervals an unchanged table is saved again: its peers may
// have new addresses, which its generation does not count.
const snapshotAge = 10

// snapshotDue reports whether the table is worth saving: it has a peer that
// answers, so that an outage does not overwrite the last good snapshot, and it
// has changed or the last snapshot is old.
func (n *Node) snapshotDue() bool {
	t := n.machine.Table()
	if _, verified := t.Len(); verified == 0 {
		return false
	}
	n.snapshotsSkipped++
	return t.Generation() != n.savedGeneration || n.own.dirty || n.snapshotsSkipped >= snapshotAge
}

// takeSnapshot collects the table's peers, nearest buckets first.
func (n *Node) takeSnapshot(now time.Time) records.Snapshot {
	n.savedGeneration, n.snapshotsSkipped = n.machine.Table().Generation(), 0
	s := records.Snapshot{Taken: now, Own: n.own.saved()}
	for e := range n.machine.Table().Entries {
		c := n.book.contacts[e.Peer.ID]
		if c == nil || len(c.addrs) == 0 {
			continue
		}
		s.Peers = append(s.Peers, records.SnapshotPeer{
			ID: e.Peer.ID, Addrs: slices.Clone(c.addrs), Scope: c.scope,
		})
		if len(s.Peers) == records.MaxSnapshotPeers {
			break
		}
	}
	return s
}
