// Package join plays how a node joins a network of four-bit IDs, small enough to
// follow by eye.
//
// The routing table and the lookup are the ones that ship, on 4-bit prefixes of
// 256-bit keys with k = 2 and alpha = 1; only the dialling is played. Story has
// four live nodes that know of others which are gone, AllAlive all sixteen.
// Everything is owned by one goroutine, and the same seed tells the same story.
//
// Buckets are numbered as in the Kademlia paper: bucket i holds the IDs at
// distances [2^i, 2^(i+1)), bucket 0 is the nearest.
package join
