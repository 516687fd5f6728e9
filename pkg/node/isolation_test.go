package node_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/marcopolo/simnet"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
)

// A node reports the loss of its network within a minute, and has rejoined 15 s after the
// network's return.
const (
	noticed   = time.Minute
	recovered = 15 * time.Second
)

// outage is a world whose first host can be cut off.
type outage struct {
	*world
	cut atomic.Bool
}

func newOutage(t *testing.T) *outage {
	o := &outage{world: newWorld(t)}
	o.net.LatencyFunc = func(p *simnet.Packet) time.Duration {
		if o.cut.Load() && (strings.HasPrefix(p.From.String(), "1.") || strings.HasPrefix(p.To.String(), "1.")) {
			return 10_000 * time.Hour // after the end of the test
		}
		return 20 * time.Millisecond
	}
	return o
}

// host creates a host that stops dialling UDP when dials often fail, as libp2p does. It
// also returns the function that a node calls to reset that.
func (o *outage) host() (host.Host, func()) {
	hole := &swarm.BlackHoleSuccessCounter{N: 100, MinSuccesses: 5}
	return o.world.host(libp2p.UDPBlackHoleSuccessCounter(hole)), func() { hole.RecordResult(true) }
}

// outageOfTwo starts a world of two hosts. The second has a node, boot. The first can be
// cut off; retrying is for its node.
func outageOfTwo(t *testing.T) (w *outage, h host.Host, retrying func(), boot []peer.AddrInfo) {
	w = newOutage(t)
	h, retrying = w.host()
	h2 := w.world.host()
	w.net.Start()
	return w, h, retrying, []peer.AddrInfo{infoOf(nodeOn(t, h2, node.Config{}))}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// logged counts the lines of a log that have a level.
func logged(log *lines, level string) int { return strings.Count(log.String(), "level="+level) }

func TestIsolated(t *testing.T) {
	for name, lasts := range map[string]time.Duration{"a minute": time.Minute, "an hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testIsolated(t, false, lasts) })
		})
	}
}

// testIsolated cuts the first of three nodes off for a while; mayBeAlone is its
// Config.First.
func testIsolated(t *testing.T, mayBeAlone bool, lasts time.Duration) {
	w := newOutage(t)
	h, retrying := w.host()
	hosts := []host.Host{h, w.world.host(), w.world.host()}
	w.net.Start()
	var log lines
	var nodes []*node.Node
	for i, h := range hosts {
		c := node.Config{Bootstrap: []peer.AddrInfo{{ID: hosts[1].ID(), Addrs: hosts[1].Addrs()}}}
		if i == 0 {
			c.First, c.Retrying, c.Logger = mayBeAlone, retrying, slog.New(slog.NewTextHandler(&log, nil))
		}
		nodes = append(nodes, nodeOn(t, h, c))
	}
	n := nodes[0]
	rest := func(d time.Duration) node.Status {
		time.Sleep(d)
		synctest.Wait()
		return n.Status()
	}
	require.Equal(t, 2, rest(10*time.Minute).VerifiedPeers)
	require.Zero(t, logged(&log, "WARN"))

	w.cut.Store(true)
	lost := time.Now()
	s := rest(0)
	for s.IsolatedSince.IsZero() && time.Since(lost) < noticed {
		s = rest(time.Second)
	}
	if mayBeAlone {
		require.Zero(t, s.IsolatedSince)
		require.Zero(t, rest(lasts).IsolatedSince)
		require.Zero(t, logged(&log, "WARN"), "%s", &log)
		return
	}
	require.WithinRange(t, s.IsolatedSince, lost, lost.Add(noticed))
	require.Empty(t, h.Network().Conns(), "none of them has carried an answer")
	rest(lasts - time.Since(lost))
	require.Equal(t, 1, logged(&log, "WARN"), "%s", &log)

	w.cut.Store(false)
	infos := logged(&log, "INFO")
	s = rest(recovered)
	require.Zero(t, s.IsolatedSince)
	require.Positive(t, s.VerifiedPeers)
	require.Equal(t, infos+1, logged(&log, "INFO"), "%s", &log)
	require.Equal(t, 2, rest(time.Hour).VerifiedPeers)
	require.Equal(t, 1, logged(&log, "WARN"), "%s", &log)
	require.Equal(t, infos+1, logged(&log, "INFO"), "%s", &log)
}

// A node with Config.First may be alone.
func TestFirstIsNeverIsolated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { testIsolated(t, true, time.Hour) })
}

// When an address of the machine changes, the node does not wait for the next heartbeat:
// it probes its peers at once, and is isolated if their answers do not come in time.
func TestALinkThatChangesIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h, _, boot := outageOfTwo(t)
		first := nodeOn(t, h, node.Config{Bootstrap: boot})
		time.Sleep(10 * time.Minute)
		_, err := first.Closest(t.Context(), []byte("key")) // the last answer
		require.NoError(t, err)
		require.Zero(t, first.Status().IsolatedSince)

		w.cut.Store(true)
		changed, err := h.EventBus().Emitter(new(event.EvtLocalAddressesUpdated))
		require.NoError(t, err)
		require.NoError(t, changed.Emit(event.EvtLocalAddressesUpdated{}))
		require.NoError(t, changed.Close())
		time.Sleep(dht.RequestTimeout + dht.IsolatedAfter + time.Second)
		require.NotZero(t, first.Status().IsolatedSince)
	})
}

// TestIsolatedAtStart starts a node that had peers while its network is unreachable.
func TestIsolatedAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h, retrying, boot := outageOfTwo(t)
		cfg, _ := keeping(node.Config{Retrying: retrying, Bootstrap: boot})
		first := nodeOn(t, h, cfg)
		time.Sleep(2 * time.Minute)
		require.Equal(t, 1, first.Status().VerifiedPeers)
		require.NoError(t, first.Close())

		w.cut.Store(true)
		cfg.Bootstrap = nil
		require.NoError(t, h.Network().ClosePeer(boot[0].ID))
		again := nodeOn(t, h, cfg)
		time.Sleep(noticed)
		require.NotZero(t, again.Status().IsolatedSince)
		time.Sleep(time.Hour)
		w.cut.Store(false)
		time.Sleep(recovered)
		require.Zero(t, again.Status().IsolatedSince)
		require.Equal(t, 1, again.Status().VerifiedPeers)
	})
}

// A node that restarts during an outage loses none of the peers that it knew: soon after the
// link is back, the table and the snapshot have all of them.
func TestRestartDuringAnOutageKeepsAllPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const others = 8
		w := newOutage(t)
		h, retrying := w.host()
		var hosts []host.Host
		for range others {
			hosts = append(hosts, w.world.host())
		}
		w.net.Start()
		boot := []peer.AddrInfo{{ID: hosts[0].ID(), Addrs: hosts[0].Addrs()}}
		for _, o := range hosts {
			nodeOn(t, o, node.Config{Bootstrap: boot})
		}
		cfg, kept := keeping(node.Config{Retrying: retrying, Bootstrap: boot, DHT: dht.Config{SnapshotInterval: time.Second}})
		first := nodeOn(t, h, cfg)
		time.Sleep(10 * time.Minute)
		require.Equal(t, others, first.Status().VerifiedPeers)
		require.NoError(t, first.Close())

		w.cut.Store(true)
		for _, o := range hosts {
			require.NoError(t, h.Network().ClosePeer(o.ID()))
		}
		again := nodeOn(t, h, cfg)
		time.Sleep(15 * time.Minute)
		require.NotZero(t, again.Status().IsolatedSince)
		w.cut.Store(false)
		time.Sleep(recovered)
		require.Equal(t, others, again.Status().VerifiedPeers)
		time.Sleep(2 * time.Second) // a snapshot is due
		saved, err := kept.LoadSnapshot()
		require.NoError(t, err)
		require.Len(t, saved.Peers, others)
	})
}
