package dht

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// QueryKind is what a query is for.
type QueryKind uint8

// The kinds of queries, the last two for maintenance.
const (
	FindClosest QueryKind = iota
	FindPeer
	FindProviders
	FindValue
	StoreValue
	StoreProvider
	Refresh
	Correct // entry correction after FindValue

	NumQueryKinds = 8
)

var queryNames = [NumQueryKinds]string{"find_closest", "find_peer", "find_providers", "find_value", "store_value", "store_provider", "refresh", "correct"}

// String returns the name of the kind as metrics label it.
func (k QueryKind) String() string { return queryNames[k] }

// QueryOutcome is how a query ended.
type QueryOutcome uint8

// The outcomes of queries.
const (
	OutcomeOK QueryOutcome = iota
	OutcomeNotFound
	OutcomeFailed // no peer answered, or none stored the record
	OutcomeCancelled

	NumQueryOutcomes = 4
)

var outcomeNames = [NumQueryOutcomes]string{"ok", "not_found", "failed", "cancelled"}

// String returns the name of the outcome as metrics label it.
func (o QueryOutcome) String() string { return outcomeNames[o] }

// QueryStats describes a finished query.
type QueryStats struct {
	Kind      QueryKind
	Outcome   QueryOutcome
	Duration  time.Duration
	Hops      int // longest chain of answers that led to one of the closest peers
	Asked     int // peers asked during the lookup
	Responded int
	Failed    int
	StoredAt  int  // peers that stored the record
	StoreSent int  // peers it was sent to
	Scheduled bool // it published a scheduled key
}

// Role is what a request is for.
type Role uint8

// The roles of requests.
const (
	RoleLookup Role = iota
	RoleStore
	RoleProbe

	NumRoles = 3
)

var roleNames = [NumRoles]string{"lookup", "store", "probe"}

// String returns the name of the role as metrics label it.
func (r Role) String() string { return roleNames[r] }

// TableAction is a change of the routing table.
type TableAction uint8

// The changes of the routing table.
const (
	PeerAdded TableAction = iota
	PeerCached
	PeerRejected
	PeerEvicted
	PeerPromoted

	NumTableActions = 5
)

var tableActionNames = [NumTableActions]string{"added", "cached", "rejected", "evicted", "promoted"}

// String returns the name of the action as metrics label it.
func (a TableAction) String() string { return tableActionNames[a] }

// Observer receives what the Machine does. Its methods are called by the
// Machine's owner goroutine and must not block.
type Observer interface {
	QueryStarted(kind QueryKind)
	QueryDone(s QueryStats)
	// RequestDone reports a request that was answered or failed. Cancelled requests
	// are not reported.
	RequestDone(role Role, ok bool, took time.Duration)
	TableChanged(a TableAction)
	// Probed reports an admission or liveness probe. restored is true for a peer from
	// the snapshot.
	Probed(ok, restored bool)
	// Refreshed reports the refresh of one bucket.
	Refreshed(ok bool)
	// Republished reports the republication of one key: whether enough peers stored
	// it, how many did, and how long after its due time it started.
	Republished(kind records.Kind, ok bool, replicas int, lag time.Duration)
}
