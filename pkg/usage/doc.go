// Package usage keeps account of what each peer has cost this node: requests by
// type, bytes, time, records taken, requests refused.
//
// It promises a bounded memory whoever comes (MaxPeers; those used longest ago are
// summed up together), totals that lose nothing, exact counts, and a cost of about a
// tenth of a microsecond for each request. How many records a peer has here is for
// the store to tell.
//
// Account owns its state and is safe for concurrent use.
package usage
