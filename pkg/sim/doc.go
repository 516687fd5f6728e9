// Package sim runs networks of thousands of nodes in one process: the Machine,
// Handler, routing table, lookup and schedule of package dht and below, as they
// ship, in a world of events.
//
// It promises that a run depends on its Options and its seed alone: the same ones
// give the same events, to the byte, on every machine. It has no goroutine, no
// socket and no clock. With Options.Check the invariants of the protocol are tested
// after every event, and a run that breaks one fails.
//
// What the world is made of, and what is not modelled, is in docs/SIMULATOR.md.
package sim
