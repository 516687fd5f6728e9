// Package node is the library: a DHT node on a libp2p host.
//
// New starts one goroutine, the loop, that owns the dht.Machine, bounded workers
// for requests, a publisher and a cleaner for disk work and a reader of the host's events;
// Close stops them all and waits. A Node implements go-libp2p's routing.Routing.
package node
