package api

import "time"

// Overview is the state of a node that its status page and `top` show. It names no peer
// except the node itself.
type Overview struct {
	Taken     time.Time       `json:"taken"`
	Identity  Identity        `json:"identity"`
	Status    Status          `json:"status"`
	Buckets   []Bucket        `json:"buckets"` // by CPL from 0, to the highest that has a peer
	Republish RepublishStatus `json:"republish"`
	Ring      []Sector        `json:"ring"` // equal parts of the keyspace from key 0 upwards
	Traffic   Traffic         `json:"traffic"`
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
