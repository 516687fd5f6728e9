package rpc

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// idleStreams opens n streams from h. Each has received one answer and stays open.
func idleStreams(t *testing.T, h, remote host.Host, n int) []network.Stream {
	t.Helper()
	open := make([]network.Stream, n)
	for i := range open {
		open[i] = openStream(t, h, remote.ID())
		require.NoError(t, ask(open[i]))
	}
	return open
}

// ask sends a PING and reads its answer.
func ask(s network.Stream) error {
	if err := send(s, ping("k")); err != nil {
		return err
	}
	_, err := frameOf(wire.NewFrameReader(64, 1<<20), s)
	return err
}

// idle waits until the server has registered all n streams as idle.
func idle(t *testing.T, srv *Server, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		srv.mu.Lock()
		defer srv.mu.Unlock()
		waiting := 0
		for in := range srv.streams {
			if in.idleSince.Load() != 0 {
				waiting++
			}
		}
		return waiting == n && len(srv.streams) == n
	}, 10*time.Second, time.Millisecond)
}

// At each bound, the longest idle stream is ended for a new one, and the bound holds.
func TestIdleStreamMakesRoom(t *testing.T) {
	for name, cfg := range map[string]ServerConfig{
		"in all":   {MaxStreams: 3},
		"per peer": {MaxStreamsPerPeer: 3},
	} {
		t.Run(name, func(t *testing.T) {
			h, remote := newHosts(t, transports["tcp"])
			rec := newRecorder()
			srv := newServer(t, remote, echo, cfg, rec)
			open := idleStreams(t, h, remote, 3)
			idle(t, srv, 3)
			require.NoError(t, ask(open[0])) // open[1] is now the longest idle one
			idle(t, srv, 3)
			open = append(open, idleStreams(t, h, remote, 1)...)
			require.Equal(t, 3, srv.InboundStreams())
			require.Error(t, ask(open[1]))
			for _, i := range []int{0, 2, 3} {
				require.NoError(t, ask(open[i]), i)
			}
			ended := 0
			for _, s := range rec.wait(t, 8) {
				if s.Reason == ReasonIdle {
					ended++
					require.Equal(t, Rejected, s.Outcome)
				}
			}
			require.Equal(t, 1, ended)
			for _, s := range open {
				_ = s.Close()
			}
			require.Eventually(t, func() bool { return srv.InboundStreams() == 0 }, 10*time.Second, time.Millisecond)
			require.Empty(t, srv.peers)
			require.Equal(t, 1, srv.gone.order.Len())
		})
	}
}

// A new stream ends one stream of the peer with the most streams, not one of a peer with few.
func TestPeerWithMostStreamsMakesRoom(t *testing.T) {
	greedy, remote := newHosts(t, transports["tcp"])
	modest, newcomer := connected(t, transports["tcp"], remote), connected(t, transports["tcp"], remote)
	srv := newServer(t, remote, echo, ServerConfig{MaxStreams: 4}, nil)
	first := idleStreams(t, modest, remote, 1)
	idleStreams(t, greedy, remote, 3)
	idle(t, srv, 4)
	idleStreams(t, newcomer, remote, 1)
	require.Equal(t, 4, srv.InboundStreams())
	require.NoError(t, ask(first[0]), "although it was idle the longest")
	srv.mu.Lock()
	require.Len(t, srv.peers[greedy.ID()].streams, 2)
	srv.mu.Unlock()
}

// Busy streams are not ended: the new one is refused.
func TestStreamsAtWorkAreKept(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	entered, release := make(chan struct{}), make(chan struct{})
	rec := newRecorder()
	newServer(t, remote, func(_ Inbound, req, resp *wire.Message) (bool, error) {
		if string(req.Key) == "wait" {
			entered <- struct{}{}
			<-release
		}
		return true, nil
	}, ServerConfig{MaxStreams: 2}, rec)
	var open []network.Stream
	for range 2 {
		s := openStream(t, h, remote.ID())
		require.NoError(t, send(s, ping("wait")))
		<-entered
		open = append(open, s)
	}
	rejects(t, h, remote, rec, []byte{1}, ReasonStreams)
	close(release)
	for _, s := range open {
		_, err := frameOf(wire.NewFrameReader(64, 1<<20), s)
		require.NoError(t, err)
	}
}

func TestSetMaxStreams(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	srv := newServer(t, remote, echo, ServerConfig{MaxStreams: 1}, nil)
	srv.SetMaxStreams(2)
	idleStreams(t, h, remote, 2)
	idle(t, srv, 2)
	srv.SetMaxStreams(1)
	require.Equal(t, 1, srv.InboundStreams(), "one ended")
	idleStreams(t, h, remote, 1)
	require.Equal(t, 1, srv.InboundStreams(), "one ended, one admitted")
	srv.SetMaxStreams(0)
	idleStreams(t, h, remote, 2)
	require.Equal(t, 3, srv.InboundStreams(), "the default")
}

// The buffer of a large request is reserved with the resource manager, released when it
// shrinks, and refused when the manager is out of memory.
func TestBuffersAreReserved(t *testing.T) {
	limits := rcmgr.PartialLimitConfig{ProtocolDefault: rcmgr.ResourceLimits{Memory: 64 << 10}}.Build(rcmgr.InfiniteLimits)
	manager, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits), rcmgr.WithMetricsDisabled())
	require.NoError(t, err)
	remote := newHostWith(t, transports["tcp"], manager)
	h := connected(t, transports["tcp"], remote)
	rec := newRecorder()
	newServer(t, remote, echo, ServerConfig{}, rec)
	reserved := func() (n int64) {
		require.NoError(t, manager.ViewProtocol(testProto, func(s network.ProtocolScope) error {
			n = s.Stat().Memory
			return nil
		}))
		return n
	}
	s := openStream(t, h, remote.ID())
	require.NoError(t, ask(s))
	require.EqualValues(t, inBuffer, reserved(), "an idle stream")
	large := wire.AppendFrame(nil, &wire.Message{Type: wire.AddProvider, Key: make([]byte, 30<<10)})
	_, err = s.Write(large)
	require.NoError(t, err)
	require.NoError(t, ask(s))
	require.NoError(t, ask(s))
	require.EqualValues(t, 8<<10, reserved(), "after a large request")
	larger := wire.AppendFrame(nil, &wire.Message{Type: wire.AddProvider, Key: make([]byte, 100<<10)})
	rejects(t, h, remote, rec, larger, ReasonMemory)
}
