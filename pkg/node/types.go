package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Mode is the role of the node in the network.
type Mode string

// The modes. Auto starts as a client and serves while the host finds that it is
// publicly reachable, which peers with libp2p's AutoNAT service tell it.
const (
	ModeAuto   Mode = "auto"
	ModeClient Mode = "client"
	ModeServer Mode = "server"
)

// StoreResult says where a value or provider record went.
type StoreResult struct {
	Key      []byte        // preimage
	StoredAt int           // other peers that took the record; the node itself holds it too
	Sent     int           // other peers it was sent to
	Expires  time.Time     // of the record
	Took     time.Duration // lookup and stores
}

// ValueResult is what a get found.
type ValueResult struct {
	Key        []byte
	Value      []byte
	Expires    time.Time
	Responders int // peers (and this node) that hold this very value
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
