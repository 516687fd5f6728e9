// Package dht is the protocol as one passive state machine.
//
// Machine drives queries, probes, refreshes and republishing: methods in, one
// Output out, Deadline says when to call again. Handler is the serving side of
// the six RPCs. Neither has a goroutine, a lock, a clock or any I/O: package
// node drives them over libp2p, package sim over a heap of events. The same
// inputs give the same outputs, byte for byte.
package dht
