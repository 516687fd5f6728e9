// Package lookup is one iterative lookup: which peer to ask next, and when the
// peers nearest to a target are known.
//
// It knows neither time nor messages: its owner asks Next whom to query and
// reports Responded, Slow or Failed. It promises a bounded shortlist, peers
// asked nearest first and at most alpha of them at once, and that it comes to an
// end once every asked peer was reported on. A Lookup is owned by one goroutine.
package lookup
