// Package sim runs networks of thousands of nodes in one process: the Machine, Handler,
// routing table, lookup and schedule of package dht and of the packages it is built on,
// as they ship, driven by a queue of events.
//
// A run depends on its Options and its seed alone: the same ones give the same events, to
// the byte, on every machine. The package has no goroutine, no socket and no clock. With
// Options.Check the invariants of the protocol are tested after every event, and a run
// that breaks one fails.
//
// docs/SIMULATOR.md describes the model and what it leaves out.
package sim
