package api

import (
	"context"
	"io"
	"time"
)

// Backend is the set of operations that an administrator can run on a node. Keys are
// binary, as on the wire; see ParseKey. Implementations are safe for concurrent use.
// Errors that callers need to distinguish are *Error.
type Backend interface {
	Identity(ctx context.Context) (Identity, error)
	Status(ctx context.Context) (Status, error)
	// Health reports whether the node is healthy and whether it is ready, like /healthz
	// and /readyz.
	Health(ctx context.Context) (Health, error)
	// Overview returns the data of the status page and of top.
	Overview(ctx context.Context) (Overview, error)
	// Table returns the routing table, nearest buckets last.
	Table(ctx context.Context) ([]TablePeer, error)
	// Peers returns the connected peers and those of the table.
	Peers(ctx context.Context) ([]PeerInfo, error)

	// Usage returns the cost of each peer, most bytes first.
	Usage(ctx context.Context) ([]PeerUsage, error)

	// Put stores a value here and at the closest peers. With a ttl of 0 it gets the
	// default lifetime and is republished until Unpublish; otherwise it expires after ttl.
	// StoredAt may be 0: then only this node has the value.
	Put(ctx context.Context, key, value []byte, ttl time.Duration) (Stored, error)
	// Get returns the best value found; quorum 0 means the default.
	Get(ctx context.Context, key []byte, quorum int) (Value, error)
	// Unpublish stops republishing a value.
	Unpublish(ctx context.Context, key []byte) error
	// Provide announces that this node has key, now and at every republish interval.
	Provide(ctx context.Context, key []byte) (Stored, error)
	// ProvideLater stores keys durably. The schedule announces them, now and at every
	// republish interval. Keys that are already provided keep their schedule. At most
	// MaxKeys.
	ProvideLater(ctx context.Context, keys [][]byte) (HandedOver, error)
	// Unprovide stops announcing key.
	Unprovide(ctx context.Context, key []byte) error
	// UnprovideAll stops announcing keys and returns how many of them were provided. At
	// most MaxKeys.
	UnprovideAll(ctx context.Context, keys [][]byte) (Removed, error)
	// Provides calls fn with each published key, including those of values.
	Provides(ctx context.Context, fn func(Published) error) error

	// FindProviders calls fn with each provider as it is found, at most count (0: the
	// default). The error is ErrNotFound if there is none.
	FindProviders(ctx context.Context, key []byte, count int, fn func(Peer) error) error
	FindPeer(ctx context.Context, peerID string) (Peer, error)
	// Closest returns the k peers closest to key, the closest first.
	Closest(ctx context.Context, key []byte) ([]Peer, error)
	// Ping measures one round trip to a peer ID or a full multiaddr.
	Ping(ctx context.Context, target string) (Pong, error)

	// Explain runs one of the lookups above, by its name (LookupGet and so on), and
	// returns its trace, whatever it found.
	Explain(ctx context.Context, lookup string, key []byte) (Trace, error)
	// Traces calls fn with the traces of the last queries, newest first, at most count.
	Traces(ctx context.Context, count int, fn func(Trace) error) error

	RepublishStatus(ctx context.Context) (RepublishStatus, error)
	// RepublishNow makes every published key due now, except those being published. It
	// returns before they are published; RepublishStatus has the progress.
	RepublishNow(ctx context.Context) error
	// Backup writes a consistent copy of the database to w.
	Backup(ctx context.Context, w io.Writer) error
	// DebugBundle writes a tar.gz with the data that is needed to diagnose a node.
	DebugBundle(ctx context.Context, w io.Writer) error
	// LogLevels returns the level of each subsystem, the root under "".
	LogLevels(ctx context.Context) (map[string]string, error)
	// SetLogLevel sets the level of a subsystem, "" being the root.
	SetLogLevel(ctx context.Context, subsystem, level string) error
}

// Identity is the identity of the node.
type Identity struct {
	PeerID    string   `json:"peer_id"`
	PublicKey string   `json:"public_key"` // base64 of the protobuf form
	Addrs     []string `json:"addrs"`      // full multiaddrs, with /p2p/
	Agent     string   `json:"agent"`
	Protocol  string   `json:"protocol"`
}

// Health is the health of a node. A node that is not ready may be healthy: a restart
// would not help.
type Health struct {
	Healthy  bool   `json:"healthy"`
	Problem  string `json:"problem,omitempty"` // why it is not healthy
	Ready    bool   `json:"ready"`
	NotReady string `json:"not_ready,omitempty"` // why it is not ready
	// Warnings has a line for each problem of a node that is ready.
	Warnings []string `json:"warnings,omitempty"`
}

// Status describes the node at one moment. Times are zero if it never happened.
type Status struct {
	// Verdict says whether the node is well; zero in an Overview, which has its own, and
	// for a node that runs for one command only.
	Verdict         Verdict   `json:"verdict,omitzero"`
	State           string    `json:"state"` // starting, joining (no peer has answered yet), ready, isolated, stopping
	PeerID          string    `json:"peer_id"`
	Mode            string    `json:"mode"`           // as configured
	Serving         bool      `json:"serving"`        // in server mode now
	Reachability    string    `json:"reachability"`   // public, private, unknown
	UptimeSeconds   float64   `json:"uptime_seconds"` //
	Starts          int64     `json:"starts"`         // of this data directory, including this one; 0: unknown
	UncleanStarts   int64     `json:"unclean_starts"` // of them after a crash, a kill or a power cut
	TablePeers      int       `json:"table_peers"`
	VerifiedPeers   int       `json:"verified_peers"`
	RestoredPeers   int       `json:"restored_peers"` // loaded from the snapshot at start
	ConnectedPeers  int       `json:"connected_peers"`
	Queries         int       `json:"queries"` // running
	NetworkSize     float64   `json:"network_size"`
	ProviderRecords int64     `json:"provider_records"`
	ValueRecords    int64     `json:"value_records"`
	PublishedKeys   int64     `json:"published_keys"`
	OverdueKeys     int       `json:"overdue_keys"`
	DBBytes         int64     `json:"db_bytes"`
	DBMaxBytes      int64     `json:"db_max_bytes"`             // 0: no limit
	DBFill          float64   `json:"db_fill"`                  // used share of the space for new records, in the fullest file; at 1 they are refused
	DBMost          int64     `json:"db_most_bytes"`            // size it can reach: db_max_bytes, or less if the disk does not have the space
	DiskFree        int64     `json:"disk_free_bytes"`          // of the file system of the data directory
	DiskTotal       int64     `json:"disk_total_bytes"`         // 0: unknown
	DiskFullSince   time.Time `json:"disk_full_since,omitzero"` // zero: not full
	Copies          int       `json:"db_copies"`                // files beside the database that a repair, a restore or a change of schema has set aside
	CopiesBytes     int64     `json:"db_copies_bytes"`
	DamagedFiles    int       `json:"db_damaged_files"`       // of db_copies: files (*.corrupt-*) that were moved aside because they were damaged
	DamagedAt       time.Time `json:"db_damaged_at,omitzero"` // when the last of them was moved aside
	// UnannouncedFailed counts the published keys that were never published although they
	// were tried since the start: too few peers stored them.
	UnannouncedFailed int `json:"unannounced_failed"`
	// Refused counts, by quota, the records that a quota has refused or truncated since
	// the start. Quotas without any are left out.
	Refused       map[string]int64 `json:"refused,omitempty"`
	IsolatedSince time.Time        `json:"isolated_since,omitzero"` // no peer has answered since; zero: not isolated
	LastSnapshot  time.Time        `json:"last_snapshot,omitzero"`
	LastExpiry    time.Time        `json:"last_expiry,omitzero"`
	LastRefresh   time.Time        `json:"last_refresh,omitzero"`
	LastRepublish time.Time        `json:"last_republish,omitzero"`
	MetricsAddr   string           `json:"metrics_addr,omitempty"` // host:port, empty: off
	RoutingAddr   string           `json:"routing_addr,omitempty"` // delegated routing, host:port, empty: off
	DataDir       string           `json:"data_dir,omitempty"`
	Version       string           `json:"version"`
}

// Peer is a peer and where to reach it.
type Peer struct {
	PeerID string   `json:"peer_id"`
	Addrs  []string `json:"addrs"`
}

// PeerInfo is a peer this node is connected to or has in its table.
type PeerInfo struct {
	PeerID    string   `json:"peer_id"`
	Addrs     []string `json:"addrs"`
	Connected bool     `json:"connected"`
	Direction string   `json:"direction,omitempty"` // inbound, outbound
	InTable   bool     `json:"in_table"`
	Agent     string   `json:"agent,omitempty"` // as the peer reports it; may be any text
}

// TablePeer is one entry of the routing table.
type TablePeer struct {
	CPL      int       `json:"cpl"` // leading bits shared with this node
	PeerID   string    `json:"peer_id"`
	Addrs    []string  `json:"addrs"`
	Verified bool      `json:"verified"`
	LastSeen time.Time `json:"last_seen,omitzero"`
	Added    time.Time `json:"added,omitzero"`
	RTTMs    float64   `json:"rtt_ms"`
	Group    string    `json:"group,omitempty"` // IP group counted for diversity
}

// Stored is the result of storing a record.
type Stored struct {
	StoredAt int       `json:"stored_at"` // other peers that stored it
	Sent     int       `json:"sent"`      // other peers it was sent to
	Expires  time.Time `json:"expires,omitzero"`
	TookMs   float64   `json:"took_ms"`
}

// Value is the result of a Get.
type Value struct {
	Value      []byte    `json:"value"`
	Responders int       `json:"responders"` // that returned this value
	Expires    time.Time `json:"expires,omitzero"`
}

// Published is a key this node keeps publishing.
type Published struct {
	Key   []byte    `json:"key"`
	Kind  string    `json:"kind"` // provider, value
	Added time.Time `json:"added,omitzero"`
	Last  time.Time `json:"last,omitzero"` // last success
	Due   time.Time `json:"due,omitzero"`
	Until time.Time `json:"until,omitzero"` // zero: until unpublished
}

// HandedOver is the result of ProvideLater.
type HandedOver struct {
	New   int `json:"new"`
	Known int `json:"known"` // already provided
}

// Removed is the result of UnprovideAll.
type Removed struct {
	Keys int `json:"keys"`
}

// Pong is the answer to a ping.
type Pong struct {
	PeerID string  `json:"peer_id"`
	RTTMs  float64 `json:"rtt_ms"`
}

// RepublishStatus describes the republishing of published keys.
type RepublishStatus struct {
	Keys              int       `json:"keys"`
	Active            int       `json:"active"` // being published now
	OverdueKeys       int       `json:"overdue_keys"`
	Regions           int       `json:"regions"`         // old name of Keys: the same number
	OverdueRegions    int       `json:"overdue_regions"` // old name of OverdueKeys
	CycleSeconds      float64   `json:"cycle_seconds"`
	NextDue           time.Time `json:"next_due,omitzero"`
	LastSuccess       time.Time `json:"last_success,omitzero"`
	Unannounced       int       `json:"unannounced"`        // keys that have never been published successfully
	UnannouncedFailed int       `json:"unannounced_failed"` // of unannounced: tried since the start of the daemon, and too few peers stored them
	Succeeded         uint64    `json:"succeeded"`          // publications since the start of the daemon
	Failed            uint64    `json:"failed"`             // likewise; those that a caller cancelled are in neither
	VerifiedPeers     int       `json:"verified_peers"`     // without any, nothing is published
	// LastErrors are the failures of keys that have not been published since, newest
	// first.
	LastErrors []PublishError `json:"last_errors,omitempty"`
	Holders    Holders        `json:"holders"`
	// Ended are the last publications that have ended by themselves, newest first.
	Ended      []PublishEnd `json:"ended,omitempty"`
	EndedTotal int          `json:"ended_total"` // since the start
}

// PublishEnd says why a key is no longer published.
type PublishEnd struct {
	Key    string    `json:"key"` // see KeyText
	Kind   string    `json:"kind"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Holders is how many other peers hold the published keys, of those published or tried
// since the start.
type Holders struct {
	Keys       int `json:"keys"`        // keys with a known number
	Fewest     int `json:"fewest"`      // the smallest number of peers that stored one of these keys at the last try
	FewestKeys int `json:"fewest_keys"` // how many keys have that number
}

// PublishError says why a key was not published at the last try.
type PublishError struct {
	Key     string    `json:"key"` // see KeyText
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	Problem string    `json:"problem"`
}
