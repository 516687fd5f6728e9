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
	ErrBusy = errors.New("dht: too many queries")
	// ErrNotServer is what a driver passes to Failed when the peer does not
	// speak the protocol: a client, which leaves the table for good.
	ErrNotServer = errors.New("dht: peer does not serve the protocol")
	// ErrLimited is what a driver passes to Failed when the peer refuses an
	// announcement because it has taken as many as it takes at a time.
	ErrLimited = errors.New("dht: peer limits how many announcements it takes")
	// ErrRefused is what a driver passes to Failed when the peer ended the stream
	// instead of answering: it may take the key in a request of another type.
	ErrRefused = errors.New("dht: peer refused the request")
)

// QueryID names a query. IDs are never reused.
type QueryID uint64

// RequestID names a request in flight. IDs are never reused.
type RequestID uint64

// Query asks the Machine for something.
type Query struct {
	Kind QueryKind
	Key  []byte // preimage, as on the wire

	// Count ends a FindProviders after so many distinct providers (0: all) and a
	// FindValue after so many equal values (0: DefaultQuorum).
	Count int
	// Value is what StoreValue stores, and what the caller of FindValue already
	// holds, if anything.
	Value records.Value
	// Provider is the entry StoreProvider announces: this node with addresses.
	Provider wire.Peer
	// Publish says that the query publishes this scheduled key; its end is
	// reported in Output.Published.
	Publish *republish.Item
}

// Send is a request to put on the wire.
type Send struct {
	ID       RequestID
	Query    QueryID // that it serves; 0: a probe
	To       kad.Peer
	Message  *wire.Message // shared; not to be changed
	Deadline time.Time
	NoReply  bool // ADD_PROVIDER: written is done
}

// Response is an answer as the driver prepared it, off the loop.
type Response struct {
	// Message is the answer: type checked, an invalid record removed, addresses
	// filtered and bounded. Nil for a request without a reply.
	Message *wire.Message
	// Closer are the closer peers worth asking: keys computed, self removed.
	Closer []kad.Peer
	// Group is the IP group of the connection the answer came on.
	Group kbucket.Group
	// RTT is the time from the written request to the answer, for the trace.
	RTT time.Duration
}

// Progress is news of a running query.
type Progress struct {
	Query     QueryID
	Providers []wire.Peer   // new ones, and known ones with the addresses that are new
	Value     records.Value // a better value, if Value.Value is not nil
}

// Result is the end of a query.
type Result struct {
	Query      QueryID
	Closest    []kad.Peer    // the k nearest that answered
	Peer       wire.Peer     // FindPeer: the peer with addresses, those told by the nearest first
	Value      records.Value // FindValue: the best
	Responders int           // FindValue: peers that hold the best
	Stats      QueryStats
	Err        error // of the last failed request, if nobody answered
}

// Published tells how the publication of a scheduled key ended.
type Published struct {
	Kind    records.Kind
	Key     []byte
	OK      bool // EnoughHolders took it
	Asked   int  // peers that were to store it
	Holders int  // of Asked: peers that took it
	At      time.Time
	Due     time.Time // next
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
	// Expire and Snapshot: housekeeping is due.
	Expire, Snapshot bool
}
