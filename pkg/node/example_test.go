package node_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
	drouting "github.com/libp2p/go-libp2p/p2p/discovery/routing"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/storage"
)

// A node of a private network in ten lines: a host with a gate, the node on it, and a value.
// The first node has no bootstrap peers and may be alone.
func ExampleNew() {
	gate := rpc.NewGate(nil)
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.ConnectionGater(gate), libp2p.MultiaddrResolver(gate))
	check(err)
	defer h.Close()
	n, err := node.New(h, node.Config{ProtocolPrefix: "/example", First: true, UnvalidatedNamespaces: []string{"example"}, Gate: gate})
	check(err)
	defer n.Close()

	ctx := context.Background()
	_, err = n.Publish(ctx, []byte("/example/greeting"), []byte("hello"))
	check(err)
	value, err := n.GetValue(ctx, "/example/greeting")
	check(err)
	fmt.Println(string(value))
	// Output: hello
}

// A private network needs its own protocol prefix and at least one bootstrap peer. Nodes
// of other networks do not support its protocol and never enter its routing tables.
func ExampleNode_Joined() {
	first := exampleNode(node.Config{ProtocolPrefix: "/example"})
	defer first.close()
	second := exampleNode(node.Config{ProtocolPrefix: "/example", Bootstrap: []peer.AddrInfo{first.info()}})
	defer second.close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check(second.Joined(ctx))
	fmt.Println(second.Protocol(), "with", second.Status().VerifiedPeers, "peer")
	// Output: /example/kad/1.0.0 with 1 peer
}

// greatest is the validator of a namespace whose values are numbers. The greatest number
// is the best value.
type greatest struct{}

// Validate accepts decimal numbers.
func (greatest) Validate(_ string, value []byte) error {
	_, err := strconv.ParseUint(string(value), 10, 64)
	return err
}

// Select returns the index of the greatest number.
func (greatest) Select(_ string, values [][]byte) (best int, err error) {
	most := uint64(0)
	for i, v := range values {
		if x, err := strconv.ParseUint(string(v), 10, 64); err == nil && x > most {
			best, most = i, x
		}
	}
	return best, nil
}

// A validator checks the values of its namespace and selects the best, wherever they come
// from. Validators of go-libp2p-record work unchanged.
func ExampleConfig_validators() {
	n := exampleNode(node.Config{First: true, Validators: map[string]node.Validator{"counter": greatest{}}})
	defer n.close()

	ctx := context.Background()
	for _, value := range []string{"7", "many", "5"} {
		_, err := n.Publish(ctx, []byte("/counter/visits"), []byte(value))
		fmt.Printf("%s: %v\n", value, err == nil)
	}
	// Output:
	// 7: true
	// many: false
	// 5: false
}

// A node with a storage.DB keeps its records, its published keys and its routing table:
// after a restart it still has all of them and needs no bootstrap peer.
func ExampleNew_persistent() {
	dir, err := os.MkdirTemp("", "example")
	check(err)
	defer os.RemoveAll(dir)

	ctx, key := context.Background(), "/example/greeting"
	start := func() (*storage.DB, example) {
		db, err := storage.Open(dir, storage.Options{})
		check(err)
		cfg := node.Config{First: true, UnvalidatedNamespaces: []string{"example"}, Store: db, Keystore: db, Snapshots: db}
		return db, exampleNode(cfg)
	}
	db, n := start()
	_, err = n.Publish(ctx, []byte(key), []byte("hello"))
	check(err)
	n.close() // close the node before its store
	check(db.Close())

	db, n = start()
	value, err := n.GetValue(ctx, key)
	check(err)
	fmt.Printf("%s, keys to republish: %d\n", value, n.Status().Republish.Keys)
	n.close()
	check(db.Close())
	// Output: hello, keys to republish: 1
}

// A host created with libp2p.Routing looks up the addresses of the peers that it connects
// to.
func ExampleNew_routing() {
	target := exampleNode(node.Config{})
	defer target.close()
	known := exampleNode(node.Config{Bootstrap: []peer.AddrInfo{target.info()}})
	defer known.close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check(known.Joined(ctx))

	var n *node.Node
	gate := rpc.NewGate(nil)
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.ConnectionGater(gate), libp2p.MultiaddrResolver(gate),
		libp2p.Routing(func(h host.Host) (r routing.PeerRouting, err error) {
			n, err = node.New(h, node.Config{Bootstrap: []peer.AddrInfo{known.info()}, Gate: gate})
			return n, err
		}),
	)
	check(err)
	defer h.Close()
	defer n.Close()
	check(n.Joined(ctx))
	check(h.Connect(ctx, peer.AddrInfo{ID: target.Host().ID()})) // an ID, without addresses
	fmt.Println("connected")
	// Output: connected
}

// Advertise and FindPeers of go-libp2p's discovery work with a node, which republishes
// what is advertised.
func ExampleNode_Provide_discovery() {
	first := exampleNode(node.Config{})
	defer first.close()
	second := exampleNode(node.Config{Bootstrap: []peer.AddrInfo{first.info()}})
	defer second.close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check(second.Joined(ctx))

	_, err := drouting.NewRoutingDiscovery(second).Advertise(ctx, "chess")
	check(err)
	peers, err := drouting.NewRoutingDiscovery(first).FindPeers(ctx, "chess")
	check(err)
	for p := range peers {
		fmt.Println("found the second node:", p.ID == second.Host().ID())
	}
	// Output: found the second node: true
}

// Content is announced by its CID. A search finds all its providers.
func ExampleNode_FindProvidersAsync() {
	first := exampleNode(node.Config{})
	defer first.close()
	second := exampleNode(node.Config{Bootstrap: []peer.AddrInfo{first.info()}})
	defer second.close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check(second.Joined(ctx))

	content, err := cid.Decode("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi")
	check(err)
	check(second.Provide(ctx, content, true)) // and again every 22 h, until Unprovide
	for p := range first.FindProvidersAsync(ctx, content, 0) {
		fmt.Println("provided by the second node:", p.ID == second.Host().ID())
	}
	// Output: provided by the second node: true
}

// example is a node of an example with its host.
type example struct{ *node.Node }

// exampleNode starts a node on a host on loopback.
func exampleNode(cfg node.Config) example {
	cfg.Gate = rpc.NewGate(nil)
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.ConnectionGater(cfg.Gate), libp2p.MultiaddrResolver(cfg.Gate))
	check(err)
	n, err := node.New(h, cfg)
	check(err)
	return example{n}
}

// info returns where the node listens.
func (e example) info() peer.AddrInfo {
	return peer.AddrInfo{ID: e.Host().ID(), Addrs: e.Host().Addrs()}
}

// close closes the node, then its host.
func (e example) close() {
	check(e.Close())
	check(e.Host().Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
