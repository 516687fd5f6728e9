// Package rpcbench measures how many requests a node answers, beside what libp2p
// itself can carry: an echo protocol on the same hosts with as many bytes, which
// does nothing else. A figure alone says how fast the machine is; the share of the
// echo says how much the node costs on top.
//
// Both are measured in turns in one run, so that what else the machine does meets
// both. The client side is the same loop for both: it writes a request and reads a
// frame, without looking into it.
package rpcbench
