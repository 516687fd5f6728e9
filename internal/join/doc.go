// Package join simulates how a node joins a network of four-bit IDs, which is small
// enough to follow by eye.
//
// The routing table and the lookup are the ones that ship, on 4-bit prefixes of 256-bit
// keys with k = 2 and alpha = 1. Only the dialling is simulated. Story has four live
// nodes, whose tables also contain nodes that have left. AllAlive has all sixteen nodes.
// One goroutine owns everything, and the same seed gives the same steps.
//
// Buckets are numbered as in the Kademlia paper: bucket i holds the IDs at
// distances [2^i, 2^(i+1)), bucket 0 is the nearest.
package join
