package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// world is a simulated network of real libp2p hosts in virtual time. It is closed at the
// end of the test, after its hosts.
type world struct {
	t   *testing.T
	net *simnet.Simnet
	n   int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, net: &simnet.Simnet{LatencyFunc: simnet.StaticLatency(20 * time.Millisecond), Logger: slog.New(slog.DiscardHandler)}}
	t.Cleanup(w.net.Close)
	return w
}

// startHosts starts a world with a number of hosts.
func startHosts(t *testing.T, count int) []host.Host {
	w, hosts := newWorld(t), make([]host.Host, count)
	for i := range hosts {
		hosts[i] = w.host()
	}
	w.net.Start()
	return hosts
}

// withTwoHosts runs a test in virtual time, in a world of two hosts.
func withTwoHosts(t *testing.T, test func(t *testing.T, h1, h2 host.Host)) {
	synctest.Test(t, func(t *testing.T) {
		hosts := startHosts(t, 2)
		test(t, hosts[0], hosts[1])
	})
}

// keeping sets a store in memory in cfg, which outlives its nodes.
func keeping(cfg node.Config) (node.Config, *records.Mem) {
	mem := records.NewMem(nil)
	cfg.Store, cfg.Keystore, cfg.Snapshots = mem, mem, mem
	return cfg, mem
}

// host creates a host on its own public address. All hosts must exist before the network
// starts.
func (w *world) host(options ...libp2p.Option) host.Host {
	w.n++
	link := simnet.LinkSettings{BitsPerSecond: 20 * simlibp2p.OneMbps}
	h := simlibp2p.MustNewHost(w.t, append(options,
		libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%d.0.0.1/udp/8000/quic-v1", w.n)),
		libp2p.DisableIdentifyAddressDiscovery(), libp2p.DisableMetrics(), libp2p.DisableRelay(),
		simlibp2p.QUICSimnet(w.net, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}),
	)...)
	w.t.Cleanup(func() { h.Close() })
	return h
}

// counter counts the events of a node.
type counter struct {
	dht.NopObserver
	mu          sync.Mutex
	republished []time.Time
	refreshed   []time.Time
	restored    int
}

func (c *counter) Republished(_ records.Kind, ok bool, _ int, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok {
		c.republished = append(c.republished, time.Now())
	}
}

func (c *counter) Refreshed(bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshed = append(c.refreshed, time.Now())
}

func (c *counter) Probed(ok, restored bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok && restored {
		c.restored++
	}
}

func providersOf(t *testing.T, n *node.Node, key []byte) []peer.AddrInfo {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var found []peer.AddrInfo
	_, err := n.Providers(ctx, key, 0, func(ai peer.AddrInfo) bool { found = append(found, ai); return true })
	if err != nil {
		require.ErrorIs(t, err, node.ErrNotFound)
	}
	return found
}

// TestFiftyHours runs five nodes for 50 hours. Provided keys are republished every 22 h.
// After the provider has left, answers contain its addresses for 24 h and its record for
// 48 h. Buckets are refreshed every 10 minutes.
func TestFiftyHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := startHosts(t, 5)
		var stores []*records.Mem
		var nodes []*node.Node
		var counters []*counter
		for i, h := range hosts {
			c := &counter{}
			cfg, mem := keeping(node.Config{Observer: c})
			if i > 0 {
				cfg.Bootstrap = []peer.AddrInfo{{ID: hosts[0].ID(), Addrs: hosts[0].Addrs()}}
			}
			n := nodeOn(t, h, cfg)
			stores, nodes, counters = append(stores, mem), append(nodes, n), append(counters, c)
		}
		time.Sleep(time.Minute)
		for _, n := range nodes {
			require.Equal(t, 4, n.Status().VerifiedPeers)
		}

		start := time.Now()
		stays, leaves := []byte("stays"), []byte("leaves")
		for who, key := range map[int][]byte{1: stays, 2: leaves} {
			res, err := nodes[who].ProvideKey(context.Background(), key)
			require.NoError(t, err)
			require.Equal(t, 4, res.StoredAt)
		}

		time.Sleep(time.Hour)
		require.NoError(t, nodes[2].Close()) // the provider leaves
		require.NoError(t, hosts[2].Close())

		addrs := func(key []byte) int {
			ps, err := stores[4].Providers(nil, time.Now(), key, 10)
			require.NoError(t, err)
			n := 0
			for _, p := range ps {
				n += len(p.Addrs)
			}
			return n
		}
		time.Sleep(time.Until(start.Add(23*time.Hour + 59*time.Minute)))
		require.Positive(t, addrs(leaves))
		require.Len(t, providersOf(t, nodes[3], leaves), 1)
		time.Sleep(2 * time.Minute)
		require.Zero(t, addrs(leaves), "answers contain addresses for 24 h")
		require.Positive(t, addrs(stays), "republished at 22 h")

		time.Sleep(time.Until(start.Add(47*time.Hour + 59*time.Minute)))
		require.Len(t, providersOf(t, nodes[3], leaves), 1)
		time.Sleep(2 * time.Minute)
		require.Empty(t, providersOf(t, nodes[3], leaves), "gone at 48 h")
		time.Sleep(time.Until(start.Add(50 * time.Hour)))
		require.Len(t, providersOf(t, nodes[3], stays), 1)

		republished := counters[1].republished // the first is the provide itself
		require.Len(t, republished, 3)
		for i, at := range republished {
			require.InDelta(t, (time.Duration(i) * 22 * time.Hour).Seconds(), at.Sub(start).Seconds(), 60)
		}
		requireRefreshes(t, counters[0], start)
	})
}

// requireRefreshes checks that a round of refreshes ran at least every 10 min, within the
// resolution of the upkeep.
func requireRefreshes(t *testing.T, c *counter, start time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := start
	for _, at := range c.refreshed {
		if at.Before(start) {
			continue
		}
		require.LessOrEqual(t, at.Sub(last), dht.RefreshInterval+2*dht.MaintainInterval)
		last = at
	}
	require.WithinDuration(t, time.Now(), last, dht.RefreshInterval+2*dht.MaintainInterval)
}

// TestRestoredInVirtualTime restarts a node without bootstrap peers: the snapshot
// restores the table, and its peers are verified again.
func TestRestoredInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := startHosts(t, 5)
		boot := []peer.AddrInfo{{ID: hosts[0].ID(), Addrs: hosts[0].Addrs()}}
		for _, h := range hosts[:4] {
			nodeOn(t, h, node.Config{Bootstrap: boot})
		}
		cfg, _ := keeping(node.Config{Bootstrap: boot})
		last := nodeOn(t, hosts[4], cfg)
		time.Sleep(3 * time.Minute)
		require.NoError(t, last.Close())
		for _, p := range hosts[4].Network().Peers() {
			require.NoError(t, hosts[4].Network().ClosePeer(p))
			hosts[4].Peerstore().ClearAddrs(p)
		}
		time.Sleep(2 * time.Hour)

		c := &counter{}
		cfg.Bootstrap, cfg.Observer = nil, c
		again := nodeOn(t, hosts[4], cfg)
		require.Equal(t, 4, again.Status().RestoredPeers)
		require.Zero(t, again.Status().VerifiedPeers, "in no answer before they respond")
		time.Sleep(5 * time.Second)
		require.Equal(t, 4, again.Status().VerifiedPeers)
		require.Equal(t, 4, c.restored)
	})
}

// TestOutageKeepsSnapshot cuts a node off for hours: its table and its snapshot keep its
// peers.
func TestOutageKeepsSnapshot(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		cfg, mem := keeping(node.Config{})
		first := nodeOn(t, h1, cfg)
		second := nodeOn(t, h2, node.Config{Bootstrap: []peer.AddrInfo{infoOf(first)}})
		time.Sleep(2 * time.Minute)
		require.Equal(t, 1, first.Status().VerifiedPeers)

		require.NoError(t, h2.Close())
		require.NoError(t, second.Close())
		time.Sleep(3 * time.Hour)
		require.Zero(t, first.Status().VerifiedPeers, "in no answer")
		require.Equal(t, 1, first.Status().TablePeers, "and not forgotten")
		snap, err := mem.LoadSnapshot()
		require.NoError(t, err)
		require.Len(t, snap.Peers, 1)
	})
}

// TestStartsBeforeTheNetwork restarts a node while none of its peers is reachable, as at
// boot. Once they are reachable it finds them, without a bootstrap peer.
func TestStartsBeforeTheNetwork(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		var addrs [][]byte
		for _, a := range h1.Addrs() {
			addrs = append(addrs, a.Bytes())
		}
		cfg, mem := keeping(node.Config{})
		require.NoError(t, mem.SaveSnapshot(records.Snapshot{
			Taken: time.Now().Add(-30 * 24 * time.Hour), // a month old: it is still used
			Peers: []records.SnapshotPeer{{ID: kad.PeerID(h1.ID()), Addrs: addrs}},
		}))
		n := nodeOn(t, h2, cfg)
		time.Sleep(10 * time.Minute)
		require.Zero(t, n.Status().VerifiedPeers)

		nodeOn(t, h1, node.Config{})
		for _, p := range h1.Network().Peers() {
			require.NoError(t, h1.Network().ClosePeer(p)) // so that identify does not report it
		}
		time.Sleep(3 * time.Minute)
		require.Equal(t, 1, n.Status().VerifiedPeers)
	})
}
