package node_test

import (
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// closeLimit is the bound on Close.
const closeLimit = 10 * time.Second

func closeSoon(t *testing.T, n *node.Node) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- n.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeLimit):
		t.Fatal("Close takes longer than ten seconds")
		return nil
	}
}

// Close ends requests that a peer does not answer and queries that wait for them.
func TestCloseWithSilentPeer(t *testing.T) {
	ctx := testContext(t)
	n := newNode(t, openConfig())
	joinForeign(t, n).silent.Store(true)
	const queries = 100
	ended := make(chan error, queries)
	for range queries {
		go func() {
			_, err := n.Closest(ctx, []byte("x"))
			ended <- err
		}()
	}
	waitFor(t, func() bool { return n.Status().Queries == queries })
	begun := time.Now()
	require.NoError(t, closeSoon(t, n))
	require.Less(t, time.Since(begun), 3*time.Second)
	for range queries {
		require.ErrorIs(t, <-ended, node.ErrClosed)
	}
}

// Close ends dials, also right after the start.
func TestCloseWhileDialling(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and never answers
	require.NoError(t, err)
	defer l.Close()
	a, err := manet.FromNetAddr(l.Addr())
	require.NoError(t, err)
	cfg := openConfig()
	cfg.Bootstrap = []peer.AddrInfo{{ID: newHost(t).ID(), Addrs: []ma.Multiaddr{a}}}
	for range 20 {
		n, err := node.New(newHost(t), cfg)
		require.NoError(t, err)
		begun := time.Now()
		require.NoError(t, closeSoon(t, n))
		require.Less(t, time.Since(begun), 3*time.Second)
	}
}

// stuck is a store whose disk hangs.
type stuck struct {
	*records.Mem
	on   chan struct{} // closed: it hangs
	free chan struct{}
}

func (s *stuck) wait() {
	select {
	case <-s.on:
		<-s.free
	default:
	}
}

func (s *stuck) SaveSnapshot(snap records.Snapshot) error {
	s.wait()
	return s.Mem.SaveSnapshot(snap)
}

func (s *stuck) Range(region kad.Prefix, fn func(records.Published) bool) error {
	s.wait()
	return s.Mem.Range(region, fn)
}

// Close does not wait for a disk that hangs.
func TestCloseWithStuckDisk(t *testing.T) {
	s := &stuck{Mem: records.NewMem(nil), on: make(chan struct{}), free: make(chan struct{})}
	cfg := openConfig()
	cfg.Store, cfg.Keystore, cfg.Snapshots = s, s, s
	n, err := node.New(newHost(t), cfg)
	require.NoError(t, err)
	joinForeign(t, n)
	_, err = n.Publish(testContext(t), []byte("/example/k"), []byte("v"))
	require.NoError(t, err)
	close(s.on)
	require.NoError(t, n.RepublishNow())
	require.ErrorIs(t, closeSoon(t, n), node.ErrStuck)
	close(s.free) // the abandoned goroutine ends
}
