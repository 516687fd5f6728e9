package interop

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
)

// theirs is a go-libp2p-kad-dht node with its default settings, those of
// the public network: /ipfs/kad/1.0.0, validators for pk and ipns, k = 20.
type theirs struct {
	*dht.IpfsDHT
	h host.Host
}

var hosts atomic.Int32

// newHost starts a host on TCP and QUIC; every third one has TCP only.
func newHost(t testing.TB) host.Host {
	t.Helper()
	listen := []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	if hosts.Add(1)%3 == 0 {
		listen = listen[:1]
	}
	h, err := libp2p.New(
		libp2p.ListenAddrStrings(listen...),
		libp2p.DisableRelay(),
		libp2p.ResourceManager(&network.NullResourceManager{}), // 30 hosts share one address
	)
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

func newTheirs(t testing.TB, mode dht.ModeOpt) *theirs {
	t.Helper()
	h := newHost(t)
	d, err := dht.New(h, dht.Mode(mode))
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	return &theirs{IpfsDHT: d, h: h}
}

func (n *theirs) host() host.Host { return n.h }
func (n *theirs) name() string    { return "kad-dht" }
func (n *theirs) tableSize() int  { return n.RoutingTable().Size() }

func (n *theirs) closest(ctx context.Context, key string) ([]peer.ID, error) {
	return n.GetClosestPeers(ctx, key)
}

func (n *theirs) refresh(ctx context.Context) error {
	select {
	case err := <-n.ForceRefresh():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *theirs) ping(ctx context.Context, p peer.ID) error { return n.Ping(ctx, p) }
