// Package usage counts what each peer costs this node: requests by type, bytes, time,
// records stored, requests rejected.
//
// Memory is bounded: beyond 4,096 peers, the least recently used ones are evicted and
// their counts are added together. Counts are exact and totals lose nothing. A request
// costs about 0.1 µs. The number of records that a peer has here comes from the store.
//
// Account owns its state and is safe for concurrent use.
package usage
