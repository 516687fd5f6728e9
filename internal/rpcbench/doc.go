// Package rpcbench measures how many requests a node answers per second, and compares this
// with the limit of libp2p: an echo protocol on the same hosts with the same number of bytes
// that does nothing else. A rate alone depends on the machine; the share of the echo shows
// the cost of the node itself.
//
// Both are measured alternately in one run, so that other load on the machine affects both.
// The client side is the same loop for both: it writes a request and reads a frame without
// parsing it.
package rpcbench
