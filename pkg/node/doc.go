// Package node is the library: a DHT node on a libp2p host.
//
// New starts one goroutine, the loop, that owns the dht.Machine, bounded workers
// for requests, a publisher and a cleaner for disk work and a reader of the host's events;
// Close stops them all and waits. A Node implements go-libp2p's routing.Routing.
//
// What a node keeps in the network for its caller, and for how long, is said by the call:
//
//	Publish       a value, renewed until Unpublish
//	PublishFor    a value, renewed for a time or until Unpublish
//	PublishOnce   a value, never renewed
//	ProvideKey    that this node has the content of a key, renewed until UnprovideKey
//	ProvideMany   the same of many keys, announced later, until UnprovideMany
//	Provide       ProvideKey by CID, until Unprovide
//
// What is renewed is durable in Config.Keystore before the call returns, and is renewed
// after a restart too. Keys are the bytes that are hashed: "/namespace/..." of a value, the
// multihash or any 1 to 80 bytes of a provider record.
//
// Calls that ask the network run until their ctx ends, or a minute; they return its error,
// dht.ErrBusy if dht.MaxQueries are under way, and ErrClosed after Close. ErrNotFound is an
// answer of the network; ErrNoAnswer is none.
package node
