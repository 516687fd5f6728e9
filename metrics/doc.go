// Package metrics exports Prometheus metrics of a node.
//
// Events arrive through the observer interfaces of the packages dht, rpc, node and storage,
// and update counters and histograms. States are read from a Source when Prometheus scrapes.
// A program that embeds a node gets its metrics with
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
// Guarantees: all names begin with holdfast_ and use base units. Every label has a bounded
// set of values and never contains a peer, key or address. Expected combinations of labels
// exist with value 0 from the start. Times are gauges named _timestamp_seconds, where 0 means
// never. A node whose loop hangs can still be scraped. An observer call on the path of a
// request allocates nothing.
//
// There is no global state. Each Metrics has its own registry, which also contains the
// collectors of the Go runtime, the process and the build. Register go-libp2p's collectors
// there too (see Registerer).
//
// A new gauge changes two files: the file where its value is computed, as a field of
// node.Status (pkg/node/status.go) or storage.Sizes (storage/sizes.go), and gauges.go,
// which defines its name and help. UPDATE=1 go test -run TestReference then writes the table
// of all metrics, docs/reference/metrics.md.
package metrics
