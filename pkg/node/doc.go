// Package node is the library: a DHT node on a libp2p host.
//
// New starts the goroutines of the node: the loop, which owns the dht.Machine, a bounded
// number of workers that send requests, a publisher and a cleaner that do the disk work,
// and a reader of the host's events. Close stops them all and waits for them. A Node
// implements go-libp2p's routing.Routing.
//
// The call decides what the node publishes and for how long it republishes it:
//
//	Publish       a value, republished until Unpublish
//	PublishFor    a value, republished for a given time or until Unpublish
//	PublishOnce   a value, never republished
//	ProvideKey    a provider record, republished until UnprovideKey
//	ProvideMany   many provider records, published in the background, until UnprovideMany
//	Provide       ProvideKey by CID, until Unprovide
//
// Keys that are republished are in Config.Keystore, durably, before the call returns, so
// a restart does not end their publication. A key is the bytes that are hashed into the
// keyspace: "/namespace/..." for a value, a multihash or any 1 to 80 bytes for a provider
// record.
//
// Calls that ask the network end with their ctx and return its error, or after
// dht.QueryTimeout. They return dht.ErrBusy if dht.MaxQueries are running, and ErrClosed
// after Close. ErrNotFound means that peers answered and none had a record; ErrNoAnswer
// that no peer answered.
package node
