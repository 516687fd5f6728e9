// Package lookup is one iterative lookup: which peer to ask next, and when the
// peers nearest to a target are known.
//
// It knows neither time nor messages: its owner asks the peers that Next returns and
// reports Responded, Slow or Failed. The shortlist is bounded. Peers are asked nearest
// first, at most alpha at once. The lookup ends once every asked peer has been reported.
// A Lookup is owned by one goroutine.
package lookup
