// Package rpc carries wire messages over libp2p streams: a Client that asks, a
// Server that answers, and the rule which addresses fit which connection.
//
// It promises that every read and write has a deadline, that every count a peer
// can drive is bounded by a named limit, that a reply belongs to its request, and
// that addresses which do not fit the scope of a connection are removed from what
// arrives on it. It refuses to know what the messages mean: that is package dht.
//
// Client and Server are safe for concurrent use. Each owns its streams; Close
// ends them and waits for what runs on them.
package rpc
