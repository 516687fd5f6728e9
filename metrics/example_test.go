package metrics_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/libp2p/go-libp2p"

	"github.com/holdfast-dht/holdfast/metrics"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/storage"
)

// A program that embeds a node serves its metrics.
func Example() {
	if err := serveMetrics(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// holdfast_routing_table_peers 0
	// holdfast_db_failed 0
}

func serveMetrics() error {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	host, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		return err
	}
	defer host.Close()

	m := metrics.New("v1.0.0", "")
	var o storage.Options
	o.Observer = m.Storage()
	db, err := storage.Open(dir, o)
	if err != nil {
		return err
	}
	defer db.Close()
	n, err := node.New(host, node.Config{
		Store: db, Keystore: db, Snapshots: db,
		Observer: m.DHT(), RPCObserver: m.RPC(), Housekeeping: m.Housekeeping(),
	})
	if err != nil {
		return err
	}
	defer n.Close()
	m.Watch(metrics.Source{Node: n, Database: db})

	page := httptest.NewRecorder() // in a program: http.Handle("GET /metrics", m.Handler())
	m.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for _, name := range []string{"holdfast_routing_table_peers", "holdfast_db_failed"} {
		for line := range strings.Lines(page.Body.String()) {
			if strings.HasPrefix(line, name) {
				fmt.Print(line)
			}
		}
	}
	return nil
}
