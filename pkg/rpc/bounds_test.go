package rpc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// The defaults documented on the fields of the configurations.
func TestDefaults(t *testing.T) {
	require.Equal(t, []int{4 << 20, 64 << 10, 256 << 10, 4096, 128}, []int{
		DefaultMaxReply, DefaultMaxField, DefaultMaxRequest, DefaultMaxStreams, DefaultMaxStreamsPerPeer,
	})
	var c ClientConfig
	c.setDefaults()
	c.Scope = nil
	require.Equal(t, ClientConfig{
		Timeout: 10 * time.Second, DialTimeout: 5 * time.Second, ConfirmTimeout: 2 * time.Second, IdleTimeout: 30 * time.Second,
		MaxReply: DefaultMaxReply, MaxField: DefaultMaxField, MaxStreamsPerPeer: 8, MaxIdlePerPeer: 2, MaxIdle: 512, MaxMemory: 8192,
	}, c)
	var s ServerConfig
	s.setDefaults()
	s.Scope, s.Reason = nil, nil
	require.Equal(t, ServerConfig{
		IdleTimeout: time.Minute, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, CloseTimeout: 10 * time.Second,
		MaxRequest: DefaultMaxRequest, MaxProvidersReply: 64 << 10, MaxStreams: DefaultMaxStreams,
		MaxStreamsPerPeer: DefaultMaxStreamsPerPeer, Rate: 50_000, MaxMemory: 4096,
	}, s)
}

// padded returns a FIND_NODE of exactly size bytes.
func padded(size int) *wire.Message {
	m := ping(strings.Repeat("k", size))
	m.Type = wire.FindNode
	m.Key = m.Key[:2*size-m.Size()]
	return m
}

// A request may have MaxRequest bytes and a reply MaxReply bytes; one byte more is refused.
func TestMaxRequestAndReply(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	rec := newRecorder()
	newServer(t, remote, echo, ServerConfig{MaxRequest: 1000}, rec)
	ask := func(size, reply int) error {
		req := padded(size)
		require.Equal(t, size, req.Size())
		_, err := newClient(t, h, ClientConfig{MaxReply: reply}, nil).Request(t.Context(), remote.ID(), req)
		return err
	}
	require.NoError(t, ask(1000, 1000))
	require.ErrorIs(t, ask(1000, 999), wire.ErrFrameTooLarge)
	require.ErrorIs(t, ask(1001, 2000), ErrNoReply)
	require.Equal(t, ReasonTooLarge, rec.wait(t, 3)[2].Reason)
}

// A reply may have exactly the maximum size of its type; from a larger one, addresses and
// peers are removed.
func TestMaxProvidersReply(t *testing.T) {
	s := &Server{cfg: ServerConfig{MaxProvidersReply: 30 << 10}}
	for kind, limit := range map[wire.Type]int{wire.FindNode: wire.MaxReply, wire.GetValue: wire.MaxReply, wire.GetProviders: 30 << 10} {
		require.Equal(t, limit, s.limitOf(kind))
	}
	for over := range 2 {
		var x exchange
		x.resp = wire.Message{Type: wire.FindNode, CloserPeers: twentyPeers()}
		fits := x.resp.Size()
		frame, err := wire.ReadFrame(bytes.NewReader(x.encode(fits-over)), nil, fits)
		require.NoError(t, err)
		require.Equal(t, over > 0, len(frame) < fits)
	}
}

// A bounded amount of memory is kept for reuse.
func TestMaxPooled(t *testing.T) {
	for over := range 2 {
		require.Equal(t, over == 0, pooled(make([]byte, maxPooled+over)[:0:maxPooled+over]))
		kept := wire.Message{CloserPeers: make([]wire.Peer, 1, maxKeptPeers+over), ProviderPeers: make([]wire.Peer, 1)}
		x := exchange{req: kept, resp: kept, out: make([]byte, 0, maxPooled+over)}
		x.shrink()
		if over > 0 {
			require.Equal(t, exchange{resp: wire.Message{ProviderPeers: []wire.Peer{}}}, x)
			continue
		}
		require.Equal(t, maxKeptPeers, cap(x.req.CloserPeers))
		require.Equal(t, maxKeptPeers, cap(x.resp.CloserPeers))
		require.Equal(t, maxPooled, cap(x.out))
	}
}

// The conduct of MaxMemory peers is remembered, and the rate of the same number of peers
// without streams.
func TestMaxMemory(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	c := newClient(t, h, ClientConfig{MaxMemory: 2}, nil)
	for i := range 3 {
		c.took(peer.ID(fmt.Sprint(i)), true)
	}
	require.Equal(t, 2, c.conducts.order.Len())
	require.Equal(t, acksUnknown, c.conduct("0").acks)

	srv := newServer(t, remote, echo, ServerConfig{MaxMemory: 2}, nil)
	for _, h := range []host.Host{h, connected(t, transports["tcp"], remote), connected(t, transports["tcp"], remote)} {
		_ = idleStreams(t, h, remote, 1)[0].Close()
		require.Eventually(t, func() bool { return srv.InboundStreams() == 0 }, 10*time.Second, time.Millisecond)
	}
	require.Equal(t, 2, srv.gone.order.Len())
}

// The longest valid names are accepted; one byte more makes them invalid.
func TestMaxName(t *testing.T) {
	label := strings.Repeat("a", maxLabel)
	longest := label[1:] + "." + label + "." + label + "." + label[:maxName-3*maxLabel-2]
	require.Len(t, longest, maxName)
	require.Equal(t, wire.ScopePublic, nameScope(longest))
	require.Equal(t, wire.ScopePublic, nameScope(longest+"."), "the trailing dot does not count")
	require.Equal(t, notUsable, nameScope("a"+longest), "%d bytes", maxName+1)
	require.Equal(t, wire.ScopePublic, nameScope(label+".com"))
	require.Equal(t, notUsable, nameScope(label+"a.com"))
}

// After notifyGiveUp consecutive failures, the rest is not sent.
func TestNotifyGivesUp(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	tried := make(chan struct{}, 100)
	foreign(t, remote, func(n int, s network.Stream) {
		tried <- struct{}{}
		if n == notifyGiveUp { // a success resets the count
			_, _ = io.ReadAll(s)
			_ = s.Close()
			return
		}
		_ = s.Reset()
	})
	c := newClient(t, h, ClientConfig{}, nil)
	c.took(remote.ID(), false)
	c.learn(remote.ID(), habitOne)
	sent, err := c.Notify(t.Context(), remote.ID(), provide(3*notifyGiveUp)...)
	require.ErrorIs(t, err, ErrNoReply)
	require.Equal(t, 1, sent)
	require.Len(t, tried, 2*notifyGiveUp)
}

// lostHost is a host whose only connection is lost without the host noticing.
type lostHost struct {
	host.Host
	opened []time.Time
}

type lostNetwork struct{ network.Network }

type openConn struct{ network.Conn }

func (*lostHost) Network() network.Network             { return lostNetwork{} }
func (lostNetwork) ConnsToPeer(peer.ID) []network.Conn { return []network.Conn{openConn{}} }
func (openConn) IsClosed() bool                        { return false }

func (h *lostHost) NewStream(ctx context.Context, _ peer.ID, _ ...protocol.ID) (network.Stream, error) {
	h.opened = append(h.opened, time.Now())
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, &network.ConnError{}
}

// A stream whose connection is lost is opened once more, after reopenAfter or when the
// context of the caller ends.
func TestReopenAfter(t *testing.T) {
	for _, patience := range []time.Duration{time.Second, reopenAfter, reopenAfter - 1} {
		synctest.Test(t, func(t *testing.T) {
			h, start := &lostHost{}, time.Now()
			c := NewClient(h, testProto, ClientConfig{}, nil)
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := c.open(ctx, "peer")
			require.ErrorIs(t, err, ErrUnreachable)
			require.Equal(t, []time.Time{start, start.Add(min(patience, reopenAfter))}, h.opened)
		})
	}
}
