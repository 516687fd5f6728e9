// Package interop runs Holdfast against the other implementations of the libp2p
// Kademlia DHT: go-libp2p-kad-dht in process, py-libp2p's Kademlia demo and
// js-libp2p as child processes, and peers that break the protocol on purpose.
//
// It is a separate module, so that none of them is a dependency of Holdfast. Everything
// listens only on loopback. `interop/run` installs what the tests need and runs all of
// them. README.md says what each suite shows.
package interop
