package rpc

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

func TestRequest(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		rec := newRecorder()
		srv := newServer(t, remote, func(in Inbound, req, resp *wire.Message) (bool, error) {
			require.Equal(t, h.ID(), in.From)
			require.Equal(t, wire.ScopeLoopback, in.Scope)
			require.False(t, in.Now.IsZero())
			resp.CloserPeers = append(resp.CloserPeers, twentyPeers()...)
			return true, nil
		}, ServerConfig{}, rec)
		c := newClient(t, h, ClientConfig{}, rec)
		for range 3 {
			reply, err := c.Request(t.Context(), remote.ID(), &wire.Message{Type: wire.FindNode, Key: []byte("k")})
			require.NoError(t, err)
			require.Equal(t, twentyPeers(), reply.Message.CloserPeers)
			require.Positive(t, reply.RTT)
			require.Equal(t, wire.ScopeLoopback, reply.Scope)
		}
		require.Equal(t, 1, srv.InboundStreams(), "one stream is reused")
		require.Equal(t, 1, c.StreamsIdle())
		require.Zero(t, c.StreamsInFlight())
		require.Equal(t, habitMany, c.habit(remote.ID()))
		for _, s := range append(rec.wait(t, 3), rec.outbound()...) {
			require.Equal(t, Replied, s.Outcome)
			require.Equal(t, wire.FindNode, s.Type)
			require.Equal(t, []byte("k"), s.Key)
			require.Positive(t, s.BytesIn)
			require.Positive(t, s.BytesOut)
			require.Positive(t, s.Duration)
		}
	})
}

// The caller owns an answer: a later answer on the same stream does not change it.
func TestRepliesAreTheCallers(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	newServer(t, remote, echo, ServerConfig{}, nil)
	c := newClient(t, h, ClientConfig{}, nil)
	first, err := c.Request(t.Context(), remote.ID(), ping("first"))
	require.NoError(t, err)
	_, err = c.Request(t.Context(), remote.ID(), ping("other"))
	require.NoError(t, err)
	require.Equal(t, "first", string(first.Message.Key))
}

func TestReplyAddressesAreFiltered(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	newServer(t, remote, func(_ Inbound, _, resp *wire.Message) (bool, error) {
		resp.CloserPeers = append(resp.CloserPeers, wire.Peer{ID: "p", Addrs: [][]byte{[]byte("rubbish"), addrBytes(t, "/ip4/1.2.3.4/tcp/1")}})
		return true, nil
	}, ServerConfig{}, nil)
	c := newClient(t, h, ClientConfig{}, nil)
	reply, err := c.Request(t.Context(), remote.ID(), ping(""))
	require.NoError(t, err)
	require.Equal(t, [][]byte{addrBytes(t, "/ip4/1.2.3.4/tcp/1")}, reply.Message.CloserPeers[0].Addrs)
}

// Requests to one peer do not queue behind each other: a later one is answered while an
// earlier one still waits.
func TestRequestsAreNotSerialised(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		release, entered := make(chan struct{}), make(chan struct{})
		newServer(t, remote, func(in Inbound, req, resp *wire.Message) (bool, error) {
			if string(req.Key) == "slow" {
				close(entered)
				<-release
			}
			return echo(in, req, resp)
		}, ServerConfig{}, nil)
		c := newClient(t, h, ClientConfig{}, nil)
		slow := make(chan error, 1)
		go func() {
			_, err := c.Request(t.Context(), remote.ID(), ping("slow"))
			slow <- err
		}()
		<-entered
		_, err := c.Request(t.Context(), remote.ID(), ping("fast"))
		require.NoError(t, err)
		close(release)
		require.NoError(t, <-slow)
		require.Equal(t, 2, c.StreamsIdle())
	})
}

func TestStreamsPerPeerAreBounded(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	release := make(chan struct{})
	entered := make(chan struct{}, 10)
	newServer(t, remote, func(in Inbound, req, resp *wire.Message) (bool, error) {
		entered <- struct{}{}
		<-release
		return echo(in, req, resp)
	}, ServerConfig{}, nil)
	c := newClient(t, h, ClientConfig{MaxStreamsPerPeer: 2, MaxIdlePerPeer: 1}, nil)
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := c.Request(t.Context(), remote.ID(), ping(""))
			results <- err
		}()
	}
	<-entered
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Request(ctx, remote.ID(), ping(""))
	require.ErrorIs(t, err, context.Canceled, "the third waits for a slot")
	require.Equal(t, 2, c.StreamsInFlight())
	close(release)
	require.NoError(t, <-results)
	require.NoError(t, <-results)
	require.Equal(t, 1, c.StreamsIdle())
	require.Empty(t, entered)
}

func TestWrongReplies(t *testing.T) {
	frame := func(m *wire.Message) []byte { return wire.AppendFrame(nil, m) }
	cases := map[string]struct {
		answer []byte
		err    error
		reason string
	}{
		"another type": {frame(&wire.Message{Type: wire.GetValue}), ErrReplyType, ReasonReplyType},
		"unknown type": {[]byte("\x02\x08\x09"), ErrReplyType, ReasonReplyType},
		"malformed":    {[]byte("\x01\xff"), wire.ErrMalformed, ReasonMalformed},
		"empty frame":  {[]byte("\x00"), wire.ErrEmptyFrame, ReasonEmpty},
		"too large":    {[]byte("\x81\x80\x80\x02"), wire.ErrFrameTooLarge, ReasonTooLarge},
		"2^63":         {[]byte("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), wire.ErrFrameTooLarge, ReasonTooLarge},
		"half a frame": {[]byte("\x20abc"), ErrNoReply, ReasonEnded},
		"nothing":      {nil, ErrNoReply, ReasonEnded},
	}
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		answer := make(chan []byte, 1)
		foreign(t, remote, func(_ int, s network.Stream) {
			_, _ = frameOf(wire.NewFrameReader(64, 1<<20), s)
			_, _ = s.Write(<-answer)
			_ = s.Close()
		})
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				rec := newRecorder()
				c := newClient(t, h, ClientConfig{}, rec)
				answer <- tc.answer
				_, err := c.Request(t.Context(), remote.ID(), ping("k"))
				require.ErrorIs(t, err, tc.err)
				require.Zero(t, c.StreamsIdle())
				require.Equal(t, tc.reason, rec.outbound()[0].Reason)
			})
		}
	})
}

// A PUT_VALUE acknowledgement without a record must arrive unchanged.
func TestAckWithoutRecord(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	newServer(t, remote, echo, ServerConfig{}, nil)
	c := newClient(t, h, ClientConfig{}, nil)
	reply, err := c.Request(t.Context(), remote.ID(), &wire.Message{Type: wire.PutValue, Key: []byte("k"), Record: &wire.Record{Key: []byte("k")}})
	require.NoError(t, err)
	require.Nil(t, reply.Message.Record)
}

// A stream with unread bytes after the reply is not reused.
func TestUncleanStreamIsNotPooled(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	foreign(t, remote, func(_ int, s network.Stream) {
		m, _ := frameOf(wire.NewFrameReader(64, 1<<20), s)
		b := wire.AppendFrame(nil, m)
		_, _ = s.Write(wire.AppendFrame(b, ping("unasked")))
	})
	c := newClient(t, h, ClientConfig{}, nil)
	_, err := c.Request(t.Context(), remote.ID(), ping("k"))
	require.NoError(t, err)
	require.Zero(t, c.StreamsIdle())
}

// oneRequestPerStream serves as py-libp2p does: one answer, then the end of the stream.
func oneRequestPerStream(t *testing.T, h host.Host, answer func(req *wire.Message) bool) (keys func() []string) {
	var mu sync.Mutex
	var got []string
	foreign(t, h, func(_ int, s network.Stream) {
		defer func() { _ = s.Close() }()
		m, err := frameOf(wire.NewFrameReader(64, 1<<20), s)
		if err != nil {
			return
		}
		mu.Lock()
		got = append(got, string(m.Key))
		mu.Unlock()
		if answer(m) {
			_ = send(s, &wire.Message{Type: m.Type, Key: m.Key})
		}
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), got...)
	}
}

func TestOneRequestPerStreamServer(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		oneRequestPerStream(t, remote, func(*wire.Message) bool { return true })
		c := newClient(t, h, ClientConfig{}, nil)
		for range 4 {
			reply, err := c.Request(t.Context(), remote.ID(), ping("k"))
			require.NoError(t, err)
			require.Equal(t, "k", string(reply.Message.Key))
		}
		require.Equal(t, habitOne, c.habit(remote.ID()), "learned from the second request")
		require.Zero(t, c.StreamsIdle())
	})
}

// A pooled stream that the server has reset meanwhile is replaced once.
func TestStaleStreamIsRetried(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		srv := newServer(t, remote, echo, ServerConfig{}, nil)
		c := newClient(t, h, ClientConfig{}, nil)
		for range 2 {
			_, err := c.Request(t.Context(), remote.ID(), ping("k"))
			require.NoError(t, err)
		}
		srv.SetServing(false)
		srv.SetServing(true)
		_, err := c.Request(t.Context(), remote.ID(), ping("k"))
		require.NoError(t, err)
		require.Equal(t, habitUnknown, c.habit(remote.ID()), "a restart does not prove one request per stream")
	})
}

// When a connection ends, so do its idle streams: the next request uses a new connection, and
// nothing is learned about the peer's habits.
func TestClosedConnectionIsDialledAgain(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		newServer(t, remote, echo, ServerConfig{}, nil)
		c := newClient(t, h, ClientConfig{}, nil)
		_, err := c.Request(t.Context(), remote.ID(), ping("k"))
		require.NoError(t, err)
		require.Equal(t, 1, c.StreamsIdle())
		for _, closer := range []host.Host{remote, h} {
			other := h
			if closer == h {
				other = remote
			}
			require.NoError(t, closer.Network().ClosePeer(other.ID()))
			require.Eventually(t, func() bool { return len(h.Network().ConnsToPeer(remote.ID())) == 0 }, 10*time.Second, time.Millisecond)
			_, err = c.Request(t.Context(), remote.ID(), ping("k"))
			require.NoError(t, err)
			require.Equal(t, habitUnknown, c.habit(remote.ID()))
			require.Equal(t, 1, c.StreamsIdle())
		}
	})
}

func TestFreshStreamIsNotRetried(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	streams := make(chan struct{}, 10)
	foreign(t, remote, func(_ int, s network.Stream) {
		streams <- struct{}{}
		_ = s.Reset()
	})
	c := newClient(t, h, ClientConfig{}, nil)
	_, err := c.Request(t.Context(), remote.ID(), ping("k"))
	require.ErrorIs(t, err, ErrNoReply)
	require.Len(t, streams, 1)
}

func TestSilentServer(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		foreign(t, remote, func(_ int, s network.Stream) { _, _ = io.ReadAll(s) })
		rec := newRecorder()
		c := newClient(t, h, ClientConfig{Timeout: 50 * time.Millisecond}, rec)
		_, err := c.Request(t.Context(), remote.ID(), ping("k"))
		require.ErrorIs(t, err, ErrTimeout)
		require.Equal(t, TimedOut, rec.outbound()[0].Outcome)
	})
}

// A server that never reads must not block a request or a Notify forever.
func TestServerThatStopsReading(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		foreign(t, remote, func(int, network.Stream) {})
		c := newClient(t, h, ClientConfig{Timeout: time.Second}, nil)
		big := &wire.Message{Type: wire.PutValue, Key: []byte("k"), Record: &wire.Record{Value: make([]byte, 2<<20)}}
		_, err := c.Request(t.Context(), remote.ID(), big)
		require.ErrorIs(t, err, ErrTimeout)
		many := []*wire.Message{big, big, big}
		_, err = c.Notify(t.Context(), remote.ID(), many...)
		require.ErrorIs(t, err, ErrTimeout)
	})
}

func TestCancelledRequest(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	ctx, cancel := context.WithCancel(t.Context())
	foreign(t, remote, func(_ int, s network.Stream) {
		cancel()
		_, _ = io.ReadAll(s)
	})
	rec := newRecorder()
	c := newClient(t, h, ClientConfig{}, rec)
	_, err := c.Request(ctx, remote.ID(), ping("k"))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, Cancelled, rec.outbound()[0].Outcome)
}

func TestUnreachableAndUnsupported(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	rec := newRecorder()
	c := newClient(t, h, ClientConfig{}, rec)
	for range 2 { // known from identify, then from the negotiation
		_, err := c.Request(t.Context(), remote.ID(), ping("k"))
		require.ErrorIs(t, err, ErrUnsupported)
		require.NoError(t, h.Peerstore().RemoveProtocols(remote.ID(), testProto))
	}
	stranger, err := peer.Decode("12D3KooWGXM3XiZ5Nz2yWDVVXcdmqz4hFSxb5CRnYKsKzQ3pFVSB")
	if err == nil {
		_, err = c.Request(t.Context(), stranger, ping("k"))
		require.ErrorIs(t, err, ErrUnreachable)
		_, err = c.Notify(t.Context(), stranger, provide(3)...)
		require.ErrorIs(t, err, ErrUnreachable)
	}
}

// A dial has its own timeout, far below that of the request.
func TestDialIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and sends nothing
	require.NoError(t, err)
	defer l.Close()
	h, remote := newHosts(t, transports["tcp"])
	a, err := manet.FromNetAddr(l.Addr())
	require.NoError(t, err)
	require.NoError(t, h.Network().ClosePeer(remote.ID()))
	h.Peerstore().ClearAddrs(remote.ID())
	h.Peerstore().AddAddr(remote.ID(), a, time.Hour)
	c := newClient(t, h, ClientConfig{DialTimeout: 50 * time.Millisecond}, nil)
	start := time.Now()
	_, err = c.Request(t.Context(), remote.ID(), ping("k"))
	require.ErrorIs(t, err, ErrUnreachable)
	require.Less(t, time.Since(start), 4*time.Second)
}

func TestIdleStreamsAreClosed(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	ended := make(chan error, 1)
	foreign(t, remote, func(_ int, s network.Stream) {
		f := wire.NewFrameReader(64, 1<<20)
		m, _ := frameOf(f, s)
		_ = send(s, m)
		_, err := frameOf(f, s)
		_ = s.Close()
		ended <- err
	})
	c := newClient(t, h, ClientConfig{IdleTimeout: 20 * time.Millisecond}, nil)
	_, err := c.Request(t.Context(), remote.ID(), ping("k"))
	require.NoError(t, err)
	require.Equal(t, io.EOF, <-ended)
	require.Zero(t, c.StreamsIdle())
}

func TestIdleStreamsAreBounded(t *testing.T) {
	h, a := newHosts(t, transports["tcp"])
	newServer(t, a, echo, ServerConfig{}, nil)
	b := newHost(t, transports["tcp"])
	newServer(t, b, echo, ServerConfig{}, nil)
	h.Peerstore().AddAddrs(b.ID(), b.Addrs(), time.Hour)
	c := newClient(t, h, ClientConfig{MaxIdle: 1}, nil)
	for _, id := range []peer.ID{a.ID(), b.ID()} {
		_, err := c.Request(t.Context(), id, ping("k"))
		require.NoError(t, err)
	}
	require.Equal(t, 1, c.StreamsIdle())
	require.NotContains(t, c.pool.peers, a.ID(), "the oldest is closed first")
	require.Contains(t, c.pool.peers, b.ID())
	require.NoError(t, c.Close())
	require.Zero(t, c.StreamsIdle())
}

func TestClientCloseUnderLoad(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		newServer(t, remote, echo, ServerConfig{}, nil)
		c := newClient(t, h, ClientConfig{}, nil)
		var wg sync.WaitGroup
		started := make(chan struct{}, 16)
		for range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					_, err := c.Request(t.Context(), remote.ID(), ping("k"))
					if i == 0 {
						started <- struct{}{}
					}
					if err != nil {
						require.ErrorIs(t, err, ErrClosed)
						return
					}
				}
			})
			wg.Go(func() {
				for {
					if _, err := c.Notify(t.Context(), remote.ID(), provide(5)...); err != nil {
						require.ErrorIs(t, err, ErrClosed)
						return
					}
				}
			})
		}
		for range 8 {
			<-started
		}
		require.NoError(t, c.Close())
		require.Zero(t, c.StreamsInFlight())
		wg.Wait()
		require.Zero(t, c.StreamsIdle())
		_, err := c.Request(t.Context(), remote.ID(), ping("k"))
		require.ErrorIs(t, err, ErrClosed)
		require.NoError(t, c.Close())
	})
}
