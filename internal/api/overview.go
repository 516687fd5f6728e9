package api

import "time"

// Overview is the state of a node that its status page and `top` show. Only Bootstrap,
// Warnings and RecentLookups may name peers other than the node itself.
type Overview struct {
	Taken     time.Time       `json:"taken"`
	Verdict   Verdict         `json:"verdict"`
	Identity  Identity        `json:"identity"`
	Status    Status          `json:"status"`
	Buckets   []Bucket        `json:"buckets"` // by CPL from 0, to the highest that has a peer
	Republish RepublishStatus `json:"republish"`
	Ring      []Sector        `json:"ring"` // equal parts of the keyspace from key 0 upwards
	Traffic   Traffic         `json:"traffic"`
	History   History         `json:"history"`
	Failures  Failures        `json:"failures"`
	Latency   Latency         `json:"latency"`
	Limits    []Limit         `json:"limits"`
	Connected Connected       `json:"connected"`
	Config    ConfigState     `json:"config"`

	Bootstrap     []BootstrapPeer `json:"bootstrap"`
	Warnings      []Warning       `json:"warnings"`       // newest first
	RecentLookups []RecentLookup  `json:"recent_lookups"` // newest first
	// Masked reports that the fields with peers, keys, paths and the text of the log were
	// left out, because the request was for a host name.
	Masked bool `json:"masked,omitempty"`
}

// Bucket is the summary of one bucket.
type Bucket struct {
	CPL      int `json:"cpl"`
	Peers    int `json:"peers"`
	Verified int `json:"verified"`
	Room     int `json:"room"` // k
}

// Sector is a part of the keyspace with the published keys in it.
type Sector struct {
	Keys    int     `json:"keys"`
	Overdue int     `json:"overdue"`
	Active  int     `json:"active"` // being published
	Left    float64 `json:"left"`   // mean share of the republish interval that is left: 1 just republished, 0 due
}

// Traffic counts since the start of the node. Readers compute rates from two of them and
// the time between.
type Traffic struct {
	In        map[string]uint64      `json:"in"`  // requests of peers, by type
	Out       map[string]uint64      `json:"out"` // requests to peers
	Rejected  uint64                 `json:"rejected"`
	OutFailed uint64                 `json:"out_failed"`
	Received  uint64                 `json:"received"` // bytes of messages
	Sent      uint64                 `json:"sent"`
	Lookups   map[string]LookupCount `json:"lookups"` // by kind, as in Trace
}

// LookupCount counts the queries of one kind.
type LookupCount struct {
	Running int64  `json:"running"`
	Done    uint64 `json:"done"`
	Failed  uint64 `json:"failed"` // of Done: no peer answered, or no peer stored the record
	TookMs  uint64 `json:"took_ms"`
}

// Failures counts the requests that failed within a window of up to an hour.
type Failures struct {
	WindowSeconds float64 `json:"window_seconds"`
	// In has the requests and connections of peers that the node refused, by reason. The
	// reasons are those of the metrics rpc_inbound_rejected_total and
	// connections_refused_total.
	In map[string]uint64 `json:"in"`
	// Out has the requests to peers that failed, by the reason of the metric
	// rpc_outbound_rejected_total, or "timeout".
	Out      map[string]uint64 `json:"out"`
	InTotal  uint64            `json:"in_total"`
	OutTotal uint64            `json:"out_total"`
}

// Latency has the durations of what ended within a window of about ten minutes.
type Latency struct {
	WindowSeconds float64              `json:"window_seconds"`
	Lookups       map[string]Quantiles `json:"lookups"` // by kind, as in Trace; without cancelled ones
	In            map[string]Quantiles `json:"in"`      // requests of peers that were answered, by type
	Out           map[string]Quantiles `json:"out"`     // requests to peers that were answered, by type
}

// Quantiles summarise durations, each within 7 %.
type Quantiles struct {
	Count uint64  `json:"count"` // not 0
	P50Ms float64 `json:"p50_ms"`
	P95Ms float64 `json:"p95_ms"`
}

// Limit is how much of a limited resource is in use.
type Limit struct {
	Name  string `json:"name"`
	Label string `json:"label"` // the name in words
	Used  int64  `json:"used"`
	Limit int64  `json:"limit"` // 0: none, or unknown
	Unit  string `json:"unit"`  // bytes, count
	Level string `json:"level"`
	Note  string `json:"note"` // what happens at the limit; may be empty
}

// Connected counts the connected peers by the side that opened their oldest connection.
type Connected struct {
	In  int `json:"in"`
	Out int `json:"out"`
}

// ConfigState describes the configuration.
type ConfigState struct {
	File              string    `json:"file"` // empty: none
	ReloadFailedSince time.Time `json:"reload_failed_since,omitzero"`
	ReloadError       string    `json:"reload_error"`
	RestartNeeded     []string  `json:"restart_needed"` // keys whose change a restart would apply
}

// The results of a bootstrap peer.
const (
	BootstrapConnected = "connected"
	BootstrapAnswered  = "answered" // when it was last dialled; it is not connected now
	BootstrapFailed    = "failed"
	BootstrapNotAsked  = "not asked" // the node did not need it
)

// BootstrapPeer is a configured bootstrap peer.
type BootstrapPeer struct {
	Addr   string    `json:"addr"` // the first of its addresses
	PeerID string    `json:"peer_id"`
	Result string    `json:"result"`
	Why    string    `json:"why"`         // it failed
	At     time.Time `json:"at,omitzero"` // when it was last dialled
}

// Warning is a message of the log with level WARN or ERROR.
type Warning struct {
	Time      time.Time `json:"time"` // of the last one
	Level     string    `json:"level"`
	Subsystem string    `json:"subsystem"`
	Text      string    `json:"text"`
	Count     int       `json:"count"` // how often the message was logged
}

// RecentLookup is a query whose trace is kept.
type RecentLookup struct {
	ID      uint64    `json:"id"`
	Kind    string    `json:"kind"` // as in Trace
	Key     string    `json:"key"`  // see KeyText
	Started time.Time `json:"started"`
	TookMs  float64   `json:"took_ms"`
	Outcome string    `json:"outcome"` // as in Trace
	Asked   int       `json:"asked"`
	Link    string    `json:"link"` // its explain page, relative to the status page
}
