package storage_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"github.com/holdfast-dht/holdfast/storage"
)

// A Datastore is a go-datastore with TTL in a directory of its own, for any libp2p program.
func ExampleOpenDatastore() {
	dir, err := os.MkdirTemp("", "example")
	check(err)
	defer os.RemoveAll(dir)
	ds, err := storage.OpenDatastore(dir, storage.Options{})
	check(err)
	defer ds.Close()

	ctx := context.Background()
	check(ds.Put(ctx, datastore.NewKey("/ship/argo"), []byte("Jason")))
	check(ds.PutWithTTL(ctx, datastore.NewKey("/ship/rafts"), []byte("Odysseus"), time.Hour))
	results, err := ds.Query(ctx, query.Query{Prefix: "/ship", Orders: []query.Order{query.OrderByKey{}}})
	check(err)
	entries, err := results.Rest()
	check(err)
	for _, e := range entries {
		fmt.Printf("%s %s\n", e.Key, e.Value)
	}
	// Output:
	// /ship/argo Jason
	// /ship/rafts Odysseus
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
