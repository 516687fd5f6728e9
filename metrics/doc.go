// Package metrics turns what the node does into Prometheus metrics.
//
// Events arrive through the observer interfaces of the packages that have them
// (dht, rpc, node, storage) and change counters and histograms; what is a state
// and not an event is read from a Source when Prometheus scrapes. A program with a node
// of its own gets its metrics by
//
//	m := metrics.New(version, revision)
//	var o storage.Options
//	o.Observer = m.Storage()
//	db, err := storage.Open(dir, o)
//	...
//	n, err := node.New(host, node.Config{
//		Store: db, Keystore: db, Snapshots: db,
//		Observer: m.DHT(), RPCObserver: m.RPC(), Housekeeping: m.Housekeeping(),
//	})
//	...
//	m.Watch(metrics.Source{Node: n, Database: db})
//	http.Handle("GET /metrics", m.Handler())
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
//
// A new gauge changes two files: the one where its value is computed, as a field of
// node.Status (pkg/node/status.go) or storage.Sizes (storage/sizes.go), and families.go,
// which gives it its name and meaning. TestGolden -update then writes the table of all
// metrics, testdata/metrics.md.
package metrics
