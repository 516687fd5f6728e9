package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
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

// Bucket sums up the peers of one bucket.
type Bucket struct {
	CPL      int
	Peers    int
	Verified int
}

// Status describes the node at one moment.
type Status struct {
	ID            peer.ID
	Mode          Mode   // as configured
	Serving       bool   // in server mode now
	Reachability  string // public, private, unknown
	Uptime        time.Duration
	TablePeers    int
	VerifiedPeers int
	RestoredPeers int // taken from the snapshot at start
	Connected     int
	ConnectedIn   int // of Connected: those whose oldest connection they opened
	Queries       int // running
	NetworkSize   float64
	Records       records.Stats
	Bootstrapped  bool      // the table was restored or bootstrap was attempted
	IsolatedSince time.Time // zero: a peer answers, or none ever did
	LastSnapshot  time.Time
	LastExpiry    time.Time
	LastRefresh   time.Time
	OldestRefresh time.Time // of the bucket that has waited longest; zero: one never was
	LastRepublish time.Time
	Republish     RepublishStatus
	Load          Load
	Bootstraps    Bootstraps
}

// Load says how far the node's bounds are used.
type Load struct {
	dht.Load
	InboundStreams  int // open
	OutboundStreams int // in use
	IdleStreams     int // outbound, kept for the next request
	WaitingCalls    int // for the loop
	// DroppedCalls counts since the start: news of peers the loop had no time for.
	DroppedCalls uint64
}

// Bootstraps counts attempts to reach the bootstrap peers since the start.
type Bootstraps struct {
	Reached uint64 // at least one
	Failed  uint64 // none
	Skipped uint64 // there were none to reach
}

// RepublishStatus describes the schedule of the published keys.
type RepublishStatus struct {
	Keys     int
	Active   int
	Overdue  int
	Interval time.Duration
	NextDue  time.Time        // zero: nothing scheduled
	Failures []PublishFailure // the last ones, of keys not published since; newest first
	Holders  Holders
	Ended    []PublishEnd // the last publications that ended by themselves, newest first
	EndedNum int          // of them since the start

	Unannounced  int    // keys whose first publication has not succeeded yet
	Done, Failed uint64 // publications since the start
}

// Holders says by how many other peers the published keys are held, as far as they
// were published or tried since the start.
type Holders struct {
	Keys       int // of which it is known
	Fewest     int // the smallest number of peers that took any of these keys when it was last tried
	FewestKeys int // how many keys that number holds for
}
