package api

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// The lookups that can be explained, by the names of their commands.
const (
	LookupGet           = "get"
	LookupFindProviders = "find-providers"
	LookupFindPeer      = "find-peer"
	LookupClosest       = "closest"
)

// MaxTraces bounds the traces of one answer. It is how many a node keeps.
const MaxTraces = 1000

// Trace is the trace of one query: which peers were asked, when, what they answered, and
// why it ended.
type Trace struct {
	ID        uint64    `json:"id"`
	Kind      string    `json:"kind"` // find_value and so on, as metrics label it
	Key       []byte    `json:"key"`
	Target    string    `json:"target"` // SHA-256 of the key in hex: its position in the keyspace
	Started   time.Time `json:"started"`
	Scheduled bool      `json:"scheduled,omitempty"` // it republished a key

	Outcome  string  `json:"outcome"` // ok, not_found, failed, cancelled
	End      string  `json:"end"`     // why the lookup ended: nearest, enough, exhausted, nobody, timeout, cancelled; none
	TookMs   float64 `json:"took_ms"`
	LookupMs float64 `json:"lookup_ms"` // the lookup's part of TookMs; the rest are stores

	Seeds     int `json:"seeds"` // peers the lookup started with
	Asked     int `json:"asked"`
	Responded int `json:"responded"`
	Failed    int `json:"failed"`
	Hops      int `json:"hops"`
	StoredAt  int `json:"stored_at,omitempty"`
	StoreSent int `json:"store_sent,omitempty"`

	Value      []byte `json:"value,omitempty"`       // the first bytes of the value found or stored
	ValueBytes int    `json:"value_bytes,omitempty"` // length of the whole value
	OwnValue   bool   `json:"own_value,omitempty"`   // get: this node's own store had the value that was found
	Found      []Peer `json:"found,omitempty"`       // the first providers found, or the peer that was looked up
	FoundPeers int    `json:"found_peers,omitempty"` // how many were found

	Steps   []TraceStep `json:"steps"`             // in the order of sending
	Omitted int         `json:"omitted,omitempty"` // steps that were too many to keep
}

// KeyText formats the key as users write it. Some keys are peer IDs.
func (t *Trace) KeyText() string {
	if t.Kind == "find_peer" || t.Kind == "refresh" {
		if id, err := peer.IDFromBytes(t.Key); err == nil {
			return id.String()
		}
	}
	return KeyText(t.Key)
}

// TraceStep is one request of a query. Times are milliseconds since its start.
type TraceStep struct {
	PeerID    string  `json:"peer_id"`
	Addr      string  `json:"addr,omitempty"` // of the connection, if there is one
	Role      string  `json:"role"`           // lookup, store
	State     string  `json:"state"`          // answered, failed, cancelled
	Hop       int     `json:"hop"`            // answers that led to the peer; 0: known before
	CPL       int     `json:"cpl"`            // leading bits that the peer shares with the target
	Rank      int     `json:"rank,omitempty"` // among the closest at the end, from 1
	SentMs    float64 `json:"sent_ms"`
	SlowMs    float64 `json:"slow_ms,omitempty"` // when another request took its place
	EndedMs   float64 `json:"ended_ms"`
	RTTMs     float64 `json:"rtt_ms,omitempty"` // of the request alone, without dialling
	Named     int     `json:"named"`            // closer peers in the answer
	New       int     `json:"new"`              // of those, peers not known before
	Providers int     `json:"providers,omitempty"`
	Value     string  `json:"value,omitempty"` // best or other, compared with the final value
	Error     string  `json:"error,omitempty"`
}
