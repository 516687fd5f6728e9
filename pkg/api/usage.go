package api

import "time"

// PeerUsage is what one peer has cost this node since its start, or, with an empty
// PeerID, what all peers that are no longer told apart have.
type PeerUsage struct {
	PeerID        string            `json:"peer_id"`
	Agent         string            `json:"agent,omitempty"` // as the peer says; anything may stand there
	Connected     bool              `json:"connected"`
	Requests      uint64            `json:"requests"` // it sent, the sum of ByType
	ByType        map[string]uint64 `json:"by_type"`  // FIND_NODE and so on, UNKNOWN; types without any left out
	Rejected      uint64            `json:"rejected"` // of Requests
	BytesIn       uint64            `json:"bytes_in"` // content of its requests
	BytesOut      uint64            `json:"bytes_out"`
	BusyMs        float64           `json:"busy_ms"`        // from whole requests to written replies
	RecordsStored uint64            `json:"records_stored"` // records taken from it, renewals included
	RecordsHeld   int64             `json:"records_held"`   // provider records here that name it, those of before the start too; -1: the store cannot say
	First         time.Time         `json:"first,omitzero"`
	Last          time.Time         `json:"last,omitzero"`
}
