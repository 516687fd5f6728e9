package dht

import (
	"errors"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

var (
	// ErrBusy is returned by Start when MaxQueries queries run.
	ErrBusy = errors.New("too many queries")
	// ErrNotServer is what a driver passes to Failed when the peer does not serve the
	// protocol. Such a client leaves the table for good.
	ErrNotServer = errors.New("peer does not serve the protocol")
	// ErrLimited is what a driver passes to Failed when the peer refuses an announcement
	// because of its rate limit.
	ErrLimited = errors.New("peer limits how many announcements it takes")
	// ErrRefused is what a driver passes to Failed when the peer ended the stream instead
	// of answering. It may accept the key in a request of another type.
	ErrRefused = errors.New("peer refused the request")
)

// QueryID names a query. IDs are never reused.
type QueryID uint64

// RequestID names a request in flight. IDs are never reused.
type RequestID uint64

// Query is what to look up, and what to store.
type Query struct {
	Kind QueryKind
	Key  []byte // preimage, as on the wire

	// Count ends a FindProviders after that many distinct providers (0: all) and a
	// FindValue after that many equal values (0: DefaultQuorum).
	Count int
	// Value is what StoreValue stores. For FindValue it is the copy that the caller
	// already has, if any.
	Value records.Value
	// Provider is what StoreProvider announces: this node with its addresses.
	Provider wire.Peer
	// Publish is the scheduled key that the query publishes, if any. Output.Published
	// reports its end.
	Publish *republish.Item
}

// Send is a request to put on the wire.
type Send struct {
	ID       RequestID
	Query    QueryID // whose request it is; 0: a probe
	To       kad.Peer
	Message  *wire.Message // shared: read only
	Deadline time.Time
	NoReply  bool // ADD_PROVIDER: done once written
}

// Response is an answer as the driver has prepared it, outside its loop.
type Response struct {
	// Message is the answer, with its type checked, an invalid record removed, and
	// addresses filtered and limited. Nil for a request without a reply.
	Message *wire.Message
	// Closer are the closer peers that may be asked, with their keys, without this node.
	Closer []kad.Peer
	// Group is the IP group of the connection the answer came on.
	Group kbucket.Group
	// RTT is the time from the end of writing the request to the answer, for the trace.
	RTT time.Duration
}

// Progress is a partial result of a running query.
type Progress struct {
	Query     QueryID
	Providers []wire.Peer   // new providers, and known ones with their new addresses
	Value     records.Value // a better value, if Value.Value is not nil
}

// Result is the end of a query.
type Result struct {
	Query      QueryID
	Closest    []kad.Peer    // the k nearest that answered
	Peer       wire.Peer     // FindPeer: the peer with its addresses, those from the nearest peers first
	Value      records.Value // FindValue: the best value
	Responders int           // FindValue: peers that hold the best value
	Stats      QueryStats
	Err        error // of the last failed request, if no peer answered
}

// Published reports how the publication of a scheduled key ended.
type Published struct {
	Kind    records.Kind
	Key     []byte
	OK      bool // EnoughHolders stored it
	Asked   int  // peers that were asked to store it
	Holders int  // of Asked: peers that stored it
	At      time.Time
	Due     time.Time // of the next publication
}

// Output is what the driver must do, in the order of the fields. It is valid
// until the next call of Take.
type Output struct {
	// Send these; answer each with Responded or Failed before its Deadline.
	Send []Send
	// Cancel these: answers are no longer wanted and will be ignored.
	Cancel []RequestID
	// Traces of queries that ended, if Config.Trace; those of Done are among them.
	Traces []*Trace
	// Progress and Done go to the owners of the queries.
	Progress []Progress
	Done     []Result
	// Load these published keys and call Loaded for each.
	Load []republish.Item
	// Published keys to note in the keystore.
	Published []Published
	// Bootstrap: reach the bootstrap peers and call PeerFound for each reached.
	Bootstrap bool
	// Retry: nobody answers. Dial the bootstrap peers again, without the backoff of
	// earlier failures.
	Retry bool
	// Expire: remove expired records. Snapshot: save the table.
	Expire, Snapshot bool
}
