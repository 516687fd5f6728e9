package records

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// MaxSnapshotPeers limits the peers of one snapshot: ten full tables of a network of
// 10,000 peers.
const MaxSnapshotPeers = 2000

// SnapshotPeer is a routing-table entry as saved.
type SnapshotPeer struct {
	ID    kad.PeerID
	Addrs [][]byte   // binary multiaddrs
	Scope wire.Scope // of the connection it answered on; it decides which addresses may be dialled
}

// Snapshot is the routing table as saved, nearest buckets first.
type Snapshot struct {
	Taken time.Time
	Peers []SnapshotPeer
	Own   [][]byte // addresses of this node that its provider records name, at most MaxAddressesPerProvider
}

// Snapshots stores the newest snapshots. Safe for concurrent use.
type Snapshots interface {
	// SaveSnapshot stores s atomically and removes the oldest ones.
	SaveSnapshot(s Snapshot) error
	// LoadSnapshot returns the newest readable snapshot, or ErrNotFound.
	LoadSnapshot() (Snapshot, error)
}
