package dht

import (
	"cmp"
	"math/rand/v2"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/lookup"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/republish"
)

// Protocol numbers. "go" is go-libp2p-kad-dht, whose network this node joins.
const (
	// Replicas is k: how many peers hold a record, and how many an answer names (go,
	// spec).
	Replicas = kad.K
	// Alpha is how many peers a lookup asks at once at its start (Kademlia paper: 3).
	// While the lookup stalls, this grows up to MaxAlpha (go: 10).
	Alpha    = lookup.Alpha
	MaxAlpha = lookup.MaxAlpha
	// Beta is how many of the nearest peers must have answered before a finding lookup
	// ends (go: 3). A storing lookup waits for all k, and so does a search that has found
	// no record: where many peers come and go, the holders are no longer the nearest.
	Beta = lookup.Beta
	// DefaultQuorum is how many equal values end a FindValue early (go: 16).
	DefaultQuorum = 16
	// RefreshInterval is how often a bucket is refreshed (go: 10 min). Simulated
	// networks find as much with one hour and use a fifth less traffic, but 10 min is
	// what the network expects of a server.
	RefreshInterval = 10 * time.Minute
	// SelfInterval is how often the node looks up its own key, which asks each of its k
	// nearest peers.
	SelfInterval = 10 * time.Minute
	// RefreshAlpha is how many peers the refresh of a bucket asks at once at its start;
	// it grows up to Alpha. No caller waits for a refresh, and requests sent too early
	// are wasted: with 3, a simulated network of 2,000 sends 40 % more for tables that
	// are no better.
	RefreshAlpha = 1
	// LivenessInterval is how long a peer may be silent before it is probed
	// (go: about 43 min).
	LivenessInterval = 43 * time.Minute
	// MaintainInterval is how often liveness, refresh and repair are checked.
	MaintainInterval = time.Minute
	// LowTable is the number of verified peers below which the table is repaired every
	// LowTableInterval (go: 10, 2 min).
	LowTable         = 10
	LowTableInterval = 2 * time.Minute
	// RejoinMin is the pause after the first lookup of the own key before the next one,
	// while the table is low. It doubles up to RejoinMax; then the repair of a low table
	// takes over. Nodes that join at the same moment are not in the first answers yet:
	// they would find each other only after LowTableInterval.
	RejoinMin = 5 * time.Second
	RejoinMax = 40 * time.Second
	// RestoreGrace is how long the peers of a snapshot may take to answer before the
	// bootstrap peers are asked.
	RestoreGrace = 5 * time.Second
	// SnapshotInterval is how often the table is saved while it changes.
	SnapshotInterval = time.Minute
	// PublishRetry is when a publication that failed for its caller is tried again.
	PublishRetry = time.Minute
	// MovedSettle is how long the node waits after it got a new address before it
	// republishes its provider records: libp2p learns several addresses one by one.
	MovedSettle = 30 * time.Second
	// MovedInterval is the least time between two such republications. Addresses that
	// change all day cost at most 22 times the usual republish traffic.
	MovedInterval = time.Hour
	// PaceInterval is the time between two announcements to a peer that limits how many
	// it accepts: py-libp2p 0.8.1 accepts 10 in 10 s.
	PaceInterval = 1100 * time.Millisecond
	// PacePause is how long the node sends such a peer nothing after a refusal. It
	// doubles up to MaxPacePause while the peer refuses announcements at the pace.
	PacePause    = 10 * time.Second
	MaxPacePause = 80 * time.Second
	// SnapshotSoon is how soon a table that has grown by a fifth is saved, ahead of
	// SnapshotInterval, because a new node may also be killed.
	SnapshotSoon = 250 * time.Millisecond
	// ExpiryInterval is how often expired records are removed.
	ExpiryInterval = time.Minute
)

// EnoughHolders returns how many peers must store a record that was sent to `sent` peers
// for the publication to count as done: half of them, rounded up, also in a network of
// fewer than k servers. In a network where every server comes and goes, 2.7 of 20 holders
// are left just before the next publication (docs/PERFORMANCE.md), and one of ten. If
// more were required, a few peers that always refuse records would have every key
// published again each hour.
func EnoughHolders(sent int) int { return (sent + 1) / 2 }

// Config configures a Machine. Zero fields mean the defaults above.
type Config struct {
	Self  kad.Peer
	Table kbucket.Config

	Replicas         int
	Alpha, MaxAlpha  int
	RefreshAlpha     int
	Beta             int
	StoreBeta        int // Beta of lookups that store; zero: Replicas
	SearchBeta       int // Beta of searches for records while they have found none; zero: Replicas
	SoftTimeout      time.Duration
	RequestTimeout   time.Duration
	RefreshInterval  time.Duration
	LivenessInterval time.Duration
	SnapshotInterval time.Duration
	ExpiryInterval   time.Duration
	Republish        republish.Config

	// Heartbeat makes the Machine probe peers after HeartbeatInterval without a sign of
	// life. The driver reports the requests of peers by Alive.
	Heartbeat bool
	// First means that this node may be alone, as the first node of a network is once
	// the others have left. It is never isolated.
	First bool
	// Select chooses between two valid values of a key: true if b is better. Nil: the
	// first value stays.
	Select records.Better
	// Observer is called when something happens; nil: no observer.
	Observer Observer
	// Trace adds a Trace of each ended query to the output.
	Trace bool
	// Rand is the only source of randomness. Nil: a fixed seed.
	Rand *rand.Rand
	// Preimage returns bytes in the form of a peer ID whose key lies in a prefix. Nil:
	// kad.RandomPreimage.
	Preimage func(*rand.Rand, kad.Prefix) []byte
}

func (c *Config) setDefaults() {
	c.Replicas = cmp.Or(c.Replicas, Replicas)
	c.Alpha = cmp.Or(c.Alpha, Alpha)
	c.MaxAlpha = cmp.Or(c.MaxAlpha, max(MaxAlpha, c.Alpha))
	c.RefreshAlpha = cmp.Or(c.RefreshAlpha, RefreshAlpha)
	c.Beta = cmp.Or(c.Beta, Beta)
	c.StoreBeta = cmp.Or(c.StoreBeta, c.Replicas)
	c.SearchBeta = cmp.Or(c.SearchBeta, c.Replicas)
	c.SoftTimeout = cmp.Or(c.SoftTimeout, SoftTimeout)
	c.RequestTimeout = cmp.Or(c.RequestTimeout, RequestTimeout)
	c.RefreshInterval = cmp.Or(c.RefreshInterval, RefreshInterval)
	c.LivenessInterval = cmp.Or(c.LivenessInterval, LivenessInterval)
	c.SnapshotInterval = cmp.Or(c.SnapshotInterval, SnapshotInterval)
	c.ExpiryInterval = cmp.Or(c.ExpiryInterval, ExpiryInterval)
	if c.Select == nil {
		c.Select = func(_, _, _ []byte) bool { return false }
	}
	if c.Observer == nil {
		c.Observer = NopObserver{}
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(1, 2))
	}
	if c.Preimage == nil {
		c.Preimage = kad.RandomPreimage
	}
}

// NopObserver does nothing. Embed it to implement only a part of Observer.
type NopObserver struct{}

var _ Observer = NopObserver{}

// QueryStarted does nothing.
func (NopObserver) QueryStarted(QueryKind) {}

// QueryDone does nothing.
func (NopObserver) QueryDone(QueryStats) {}

// TableChanged does nothing.
func (NopObserver) TableChanged(TableAction) {}

// RequestDone does nothing.
func (NopObserver) RequestDone(Role, bool, time.Duration) {}

// Probed does nothing.
func (NopObserver) Probed(bool, bool) {}

// Refreshed does nothing.
func (NopObserver) Refreshed(bool) {}

// Republished does nothing.
func (NopObserver) Republished(records.Kind, bool, int, time.Duration) {}
