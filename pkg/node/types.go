package node

import (
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Mode is the role of the node in the network.
type Mode string

// The modes. A node in ModeAuto starts as a client and serves while AutoNAT reports that
// the host is publicly reachable.
const (
	ModeAuto   Mode = "auto"
	ModeClient Mode = "client"
	ModeServer Mode = "server"
)

// StoreResult is the outcome of the first publication of a record.
type StoreResult struct {
	Key      []byte        // preimage
	StoredAt int           // other peers that stored the record; this node stores it too
	Sent     int           // other peers that it was sent to
	Expires  time.Time     // when the record expires
	Took     time.Duration // for lookup and stores
}

// taken returns an error if no other peer stored the record.
func (r StoreResult) taken() error {
	switch {
	case r.StoredAt > 0:
		return nil
	case r.Sent == 0:
		return ErrNoPeers
	}
	return fmt.Errorf("%w: sent to %d", ErrNotTaken, r.Sent)
}

// ValueResult is the value that Get found.
type ValueResult struct {
	Key        []byte
	Value      []byte
	Expires    time.Time
	Responders int // peers, including this node, that answered with this value
}

// TableEntry is one peer of the routing table.
type TableEntry struct {
	CPL      int
	ID       peer.ID
	Addrs    []string
	Verified bool
	LastSeen time.Time
	Added    time.Time
	RTT      time.Duration
	Group    string // IP group for diversity; empty: exempt
}
