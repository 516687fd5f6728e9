// Package rpc exchanges wire messages over libp2p streams. It contains a Client that sends
// requests, a Server that answers them, the rules for which addresses may be exchanged on
// which connection, and a Gate that keeps peers on public addresses from making the host dial
// private ones.
//
// Guarantees: every read and write has a deadline. Everything that a peer can make grow is
// bounded by a named limit. A reply belongs to its request. Addresses outside the scope of a
// connection are removed from the messages that arrive on it. If the peer may not have read a
// request, because a reused stream ended or the connection was lost, the request is sent once
// more.
//
// The package does not interpret messages; that is the task of package dht.
//
// Client, Server and Gate are safe for concurrent use. Client and Server own their streams;
// Close ends them and waits for their work.
package rpc
