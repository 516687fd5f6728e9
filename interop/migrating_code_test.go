package interop_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/dual"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/storage"
)

// before is the first sample of docs/MIGRATING.md.
func before(ctx context.Context, h host.Host, peers []peer.AddrInfo, store datastore.Batching) error {
	d, err := dual.New(h, dual.DHTOption(
		dht.Mode(dht.ModeServer),
		dht.BootstrapPeers(peers...),
		dht.Datastore(store),
		dht.NamespacedValidator("ipns", ipns.Validator{KeyBook: h.Peerstore()}),
	))
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Bootstrap(ctx)
	return err
}

// after is the second one.
func after(ctx context.Context, h host.Host, peers []peer.AddrInfo, gate *rpc.Gate, dir string) error {
	db, err := storage.Open(dir, storage.Options{Network: node.PublicPrefix})
	if err != nil {
		return err
	}
	defer db.Close()
	n, err := node.New(h, node.Config{Bootstrap: peers, Gate: gate, Store: db, Keystore: db, Snapshots: db})
	if err != nil {
		return err
	}
	defer n.Close()
	err = n.Joined(ctx)
	return err
}

// The samples of docs/MIGRATING.md are the functions above.
func TestMigratingSamplesCompile(t *testing.T) {
	page, err := os.ReadFile("../docs/MIGRATING.md")
	require.NoError(t, err)
	source, err := os.ReadFile("migrating_code_test.go")
	require.NoError(t, err)
	samples := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.Len(t, samples, 2)
	for _, s := range samples {
		body := "error {\n\t" + strings.ReplaceAll(strings.TrimSpace(s[1]), "\n", "\n\t") + "\n\treturn err\n}\n"
		require.Contains(t, string(source), body)
	}
}

// Both samples join a network of go-libp2p-kad-dht.
func TestMigratingSamplesRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	known, _ := gatedHost(t)
	d, err := dht.New(known, dht.Mode(dht.ModeServer))
	require.NoError(t, err)
	defer d.Close()
	peers := []peer.AddrInfo{{ID: known.ID(), Addrs: known.Addrs()}}

	h, _ := gatedHost(t)
	require.NoError(t, before(ctx, h, peers, dssync.MutexWrap(datastore.NewMapDatastore())))
	h, gate := gatedHost(t)
	require.NoError(t, after(ctx, h, peers, gate, t.TempDir()))
}

func gatedHost(t *testing.T) (host.Host, *rpc.Gate) {
	gate := rpc.NewGate(nil)
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.ConnectionGater(gate), libp2p.MultiaddrResolver(gate))
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	return h, gate
}
