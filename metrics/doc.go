// Package metrics turns what the node does into Prometheus metrics.
//
// Events arrive through the observer interfaces of the packages that have them
// (dht, rpc, node, storage) and change counters and histograms; what is a state
// and not an event is read from a Source when Prometheus scrapes.
//
// What it promises: all names begin with holdfast_, in base units; every label
// has a bounded set of values, never a peer, key or address; the combinations
// that can be expected stand at 0 from the start; moments are gauges named
// _timestamp_seconds, 0 meaning never; a node whose loop hangs can still be
// scraped; and an observer call on the path of a request allocates nothing.
//
// What it refuses: global state. Each Metrics has its own registry, beside ours
// with the collectors of the Go runtime, the process and the build; go-libp2p's
// are to be registered there too, see Registerer.
package metrics
