package dht

import (
	"math/rand/v2"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/republish"
)

// Protocol numbers. "go" is go-libp2p-kad-dht, whose network this node joins.
const (
	// Replicas is k: peers that hold a record and peers in an answer (go, spec).
	Replicas = 20
	// Alpha is how many peers a lookup asks at once to begin with (Kademlia
	// paper: 3); a lookup that stalls grows towards MaxAlpha (go: 10).
	Alpha    = 3
	MaxAlpha = 10
	// Beta is how many of the nearest peers must have answered before a finding
	// lookup ends (go: 3). A storing one waits for all k, and so does a search that
	// has found no record: where many come and go, holders are no longer the nearest.
	Beta = 3
	// DefaultQuorum is how many equal values end a FindValue early (go: 16).
	DefaultQuorum = 16
	// SoftTimeout frees the slot of a queried peer; a late answer still counts. It
	// is shorter where answers come fast, see patience, down to MinSoftTimeout.
	SoftTimeout    = time.Second
	MinSoftTimeout = 250 * time.Millisecond
	// LateTimeout is how long a lookup that has heard from others waits for a slow
	// peer when there is nobody else to ask. In a network of few peers one that has
	// vanished would hold up everything for RequestTimeout.
	LateTimeout = 3 * time.Second
	// RequestTimeout bounds one request with its dial (go: 10 s).
	RequestTimeout = 10 * time.Second
	// QueryTimeout bounds a whole query; what it stores after a lookup that took all of
	// that has as long again.
	QueryTimeout = 60 * time.Second
	// RefreshInterval is how often a bucket is refreshed (go: 10 min). Simulated
	// networks find as much with one hour and a fifth less traffic; 10 min is what
	// the network expects of a server.
	RefreshInterval = 10 * time.Minute
	// SelfInterval is how often our own neighbourhood is looked up and with it
	// every one of our k nearest asked.
	SelfInterval = 10 * time.Minute
	// RefreshAlpha is how many peers the refresh of a bucket asks at once to begin
	// with; it grows to Alpha. Nobody waits for it, and what is asked too early is
	// asked in vain: with 3 a simulated network of 2,000 sends 40 % more, for tables
	// that are no better.
	RefreshAlpha = 1
	// RefreshTimeout bounds one refresh lookup (go: 10 s).
	RefreshTimeout = 10 * time.Second
	// LivenessInterval is how long a peer may be silent before it is probed
	// (go: about 43 min).
	LivenessInterval = 43 * time.Minute
	// MaintainInterval is the grain of liveness, refresh and repair.
	MaintainInterval = time.Minute
	// LowTable is the count of verified peers under which the table is repaired
	// every LowTableInterval (go: 10, 2 min).
	LowTable         = 10
	LowTableInterval = 2 * time.Minute
	// RestoreGrace is how long a restored table may take to answer before
	// bootstrap peers are asked.
	RestoreGrace = 5 * time.Second
	// SnapshotInterval is how often the table is saved while it changes.
	SnapshotInterval = time.Minute
	// PublishRetry is when a publication that failed for its caller is tried again.
	PublishRetry = time.Minute
	// MovedSettle is how long after a new address of our own what we provide is
	// announced again: libp2p learns of several addresses one after another.
	MovedSettle = 30 * time.Second
	// MovedInterval is the time between two such announcements of everything. Addresses
	// that come and go all day cost at most 22 times the traffic of renewal.
	MovedInterval = time.Hour
	// PaceInterval is the time between two announcements to a peer that limits how many
	// it takes: py-libp2p 0.8.1 takes 10 in 10 s.
	PaceInterval = 1100 * time.Millisecond
	// PacePause is how long such a peer is left alone after a refusal; it doubles up to
	// MaxPacePause while the peer refuses what is sent at the pace.
	PacePause    = 10 * time.Second
	MaxPacePause = 80 * time.Second
	// SnapshotSoon is when a table that has grown a fifth is saved, ahead of
	// SnapshotInterval: a young node is killed as easily as an old one.
	SnapshotSoon = 250 * time.Millisecond
	// ExpireInterval is how often expired records are removed.
	ExpireInterval = time.Minute
)

// Bounds of the Machine.
const (
	// MaxRequests bounds requests in flight. Each purpose has places of its own:
	// peers that hang on requests of one purpose hold up no other.
	MaxRequests = MaxQueryRequests + MaxProbes + MaxSuspects + MaxLiveness
	// MaxQueryRequests bounds the requests of queries in flight: the stores of eight
	// published keys at once, at 20 peers each, and some lookups. Queries beyond it
	// wait in order.
	MaxQueryRequests = 192
	// MaxQueries bounds queries at once; Start refuses more.
	MaxQueries = 1024
	// MaxProbes bounds the probes of candidates in flight.
	MaxProbes = 32
	// MaxSuspects bounds the probes in flight of table peers that failed a request.
	MaxSuspects = 16
	// MaxLiveness bounds the probes in flight of table peers that were silent for
	// long. If all of them hang, that is 96 a minute and 4,128 in LivenessInterval,
	// more than any table holds.
	MaxLiveness = 16
	// MaxCandidates bounds peers that wait for a probe: a full snapshot.
	MaxCandidates = records.MaxSnapshotPeers
	// MaxRejects bounds the memory of peers that failed a probe lately.
	MaxRejects = 4096
	// MaxPacedPeers bounds the peers that are known to limit our announcements, and
	// MaxPaced the announcements that wait for one of them: nine minutes' worth. Those
	// beyond count as refused.
	MaxPacedPeers = 256
	MaxPaced      = 512
	// PaceTries is how often one announcement is sent to such a peer.
	PaceTries = 3
	// RejectPause is how long lookups do not ask such a peer: others go on naming
	// it, and each attempt costs the time of a failed dial. It is not probed either,
	// even if it connects again: peers that never answer would take all places.
	RejectPause = time.Minute
	// MaxPausing bounds peers that wait for the end of their pause, about 100 bytes
	// each. A peer beyond it is found again when it connects or asks again.
	MaxPausing = 1024
	// RejectMemory is how long such a peer is not probed again on hearsay.
	RejectMemory = 10 * time.Minute
	// MaxProviderBytes bounds the providers that one query reports, in bytes of memory
	// until its caller has taken them: 80,000 with four addresses each.
	MaxProviderBytes = 32 << 20
	// MaxCloser bounds the closer peers taken from one answer: 2k.
	MaxCloser = 2 * Replicas
)

// EnoughHolders returns how many of the peers that a published record was sent to
// must have taken it for the publication to be done: half of them, rounded up, in a
// network of fewer than k servers too. Where every server comes and goes, 2.7 of 20
// holders are left just before the next publication (docs/PERFORMANCE.md); of ten
// there is still one. A larger share would have every key tried again each hour while
// a few of the peers refuse records for good.
func EnoughHolders(sent int) int { return (sent + 1) / 2 }

// Config sets up a Machine. Zero fields take the defaults named above.
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
	ExpireInterval   time.Duration
	Republish        republish.Config

	// Heartbeat has peers probed after HeartbeatInterval without a sign of life. The
	// driver tells of their requests by Alive.
	Heartbeat bool
	// First says that this node may be alone, as the first node of a network is once
	// the others have left: it is never isolated.
	First bool
	// Select chooses between two valid values under a key: true if b is better.
	// Nil: the first one stays.
	Select records.Better
	// Observer is told what happens; nil: nobody.
	Observer Observer
	// Trace has each query end with a Trace in the output.
	Trace bool
	// Rand is the only source of chance. Nil: a fixed seed.
	Rand *rand.Rand
	// Preimage finds bytes in the form of a peer ID whose key lies in a prefix. Nil:
	// kad.RandomPreimage.
	Preimage func(*rand.Rand, kad.Prefix) []byte
}

func (c *Config) setDefaults() {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	defd := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Replicas, Replicas)
	def(&c.Alpha, Alpha)
	def(&c.MaxAlpha, max(MaxAlpha, c.Alpha))
	def(&c.RefreshAlpha, RefreshAlpha)
	def(&c.Beta, Beta)
	def(&c.StoreBeta, c.Replicas)
	def(&c.SearchBeta, c.Replicas)
	defd(&c.SoftTimeout, SoftTimeout)
	defd(&c.RequestTimeout, RequestTimeout)
	defd(&c.RefreshInterval, RefreshInterval)
	defd(&c.LivenessInterval, LivenessInterval)
	defd(&c.SnapshotInterval, SnapshotInterval)
	defd(&c.ExpireInterval, ExpireInterval)
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

// NopObserver observes nothing; embed it to observe a part.
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

// Bootstrapped does nothing.
func (NopObserver) Bootstrapped() {}
