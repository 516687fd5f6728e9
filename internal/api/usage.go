package api

import "time"

// PeerUsage is the cost of one peer since the start of the node or, with an empty PeerID,
// of all peers that are not counted separately.
type PeerUsage struct {
	PeerID        string            `json:"peer_id"`
	Agent         string            `json:"agent,omitempty"` // as the peer reports it; may be any text
	Connected     bool              `json:"connected"`
	Requests      uint64            `json:"requests"` // it sent, the sum of ByType
	ByType        map[string]uint64 `json:"by_type"`  // FIND_NODE and so on, UNKNOWN; types without any left out
	Rejected      uint64            `json:"rejected"` // of Requests
	BytesIn       uint64            `json:"bytes_in"` // content of its requests
	BytesOut      uint64            `json:"bytes_out"`
	BusyMs        float64           `json:"busy_ms"`        // from whole requests to written replies
	RecordsStored uint64            `json:"records_stored"` // records stored for it, republished ones included
	RecordsHeld   int64             `json:"records_held"`   // provider records here that name it, including those from before the start; -1: unknown
	First         time.Time         `json:"first,omitzero"`
	Last          time.Time         `json:"last,omitzero"`
}
