// Package rpc carries wire messages over libp2p streams: a Client that asks, a
// Server that answers, the rule which addresses fit which connection, and a Gate that
// keeps peers on public addresses from making the host dial private ones.
//
// It promises that every read and write has a deadline, that every count a peer
// can drive is bounded by a named limit, that a reply belongs to its request, and
// that addresses which do not fit the scope of a connection are removed from what
// arrives on it. A request that a peer may not have read, because a reused stream ended
// or the connection was lost, is sent once more.
//
// It refuses to know what the messages mean: that is package dht.
//
// All three are safe for concurrent use. Client and Server own their streams; Close
// ends them and waits for what runs on them.
package rpc
