package rpc

import (
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// rejects sends bytes on a stream and expects the server to reset it and to report the
// reason. The server may reject a request before it is complete, so the reset may arrive
// while the bytes are still being written.
func rejects(t *testing.T, h, remote host.Host, rec *recorder, in []byte, reason string) {
	t.Helper()
	s := openStream(t, h, remote.ID())
	if _, err := s.Write(in); err != nil {
		require.ErrorIs(t, err, network.ErrReset)
	}
	_, err := io.ReadAll(s)
	require.ErrorIs(t, err, network.ErrReset)
	stats := rec.wait(t, 1)
	require.Equal(t, Rejected, stats[len(stats)-1].Outcome)
	require.Equal(t, reason, stats[len(stats)-1].Reason)
}

func TestServerRejects(t *testing.T) {
	cases := map[string]struct {
		in     []byte
		reason string
	}{
		"empty frame":       {[]byte{0}, ReasonEmpty},
		"malformed":         {[]byte{1, 0xff}, ReasonMalformed},
		"unknown type":      {[]byte{2, 8, 9}, ReasonUnknownType},
		"5 MiB":             {[]byte("\x80\x80\xc0\x02"), ReasonTooLarge},
		"2^63":              {[]byte("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), ReasonTooLarge},
		"endless prefix":    {[]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), ReasonTooLarge},
		"refused":           {wire.AppendFrame(nil, ping("bad")), "bad_key"},
		"refused in a pipe": {wire.AppendFrame(wire.AppendFrame(nil, &wire.Message{Type: wire.AddProvider}), ping("bad")), "bad_key"},
	}
	bad := errors.New("bad key")
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		rec := newRecorder()
		newServer(t, remote, func(in Inbound, req, resp *wire.Message) (bool, error) {
			if string(req.Key) == "bad" {
				return false, bad
			}
			return echo(in, req, resp)
		}, ServerConfig{Reason: func(err error) string {
			if errors.Is(err, bad) {
				return "bad_key"
			}
			return ReasonRefused
		}}, rec)
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				if name == "refused in a pipe" {
					defer func() { rec.wait(t, 1) }()
				}
				rejects(t, h, remote, rec, tc.in, tc.reason)
			})
		}
	})
}

func TestServerServesPipelines(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		newServer(t, remote, echo, ServerConfig{}, nil)
		s := openStream(t, h, remote.ID())
		var out []byte
		for range 300 {
			out = wire.AppendFrame(out, ping("some key"))
			out = wire.AppendFrame(out, &wire.Message{Type: wire.AddProvider, Key: make([]byte, 80)})
		}
		_, err := s.Write(out)
		require.NoError(t, err)
		require.NoError(t, s.CloseWrite(), "half-close is fine")
		f := wire.NewFrameReader(64, 1<<20)
		for range 300 {
			m, err := frameOf(f, s)
			require.NoError(t, err)
			require.Equal(t, "some key", string(m.Key))
		}
		_, err = frameOf(f, s)
		require.Equal(t, io.EOF, err, "no answer to ADD_PROVIDER, and a clean end")
	})
}

func TestServerFiltersAndTrims(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	newServer(t, remote, func(_ Inbound, req, resp *wire.Message) (bool, error) {
		require.Equal(t, [][]byte{addrBytes(t, "/ip4/127.0.0.1/tcp/1")}, req.ProviderPeers[0].Addrs)
		for range 40 {
			resp.CloserPeers = append(resp.CloserPeers, twentyPeers()...)
		}
		return true, nil
	}, ServerConfig{MaxProvidersReply: 30 << 10}, nil)
	c := newClient(t, h, ClientConfig{}, nil)
	req := &wire.Message{Type: wire.FindNode, ProviderPeers: []wire.Peer{
		{ID: "p", Addrs: [][]byte{[]byte("rubbish"), addrBytes(t, "/ip4/127.0.0.1/tcp/1")}},
	}}
	reply, err := c.Request(t.Context(), remote.ID(), req)
	require.NoError(t, err)
	require.LessOrEqual(t, reply.Message.Size(), wire.MaxReply)
	req.Type = wire.GetProviders
	rec := newRecorder()
	c = newClient(t, h, ClientConfig{}, rec)
	_, err = c.Request(t.Context(), remote.ID(), req)
	require.NoError(t, err)
	require.Greater(t, rec.outbound()[0].BytesIn, wire.MaxReply)
	require.LessOrEqual(t, rec.outbound()[0].BytesIn, 30<<10)
}

// A request that arrives too slowly is cut off, however steadily it arrives.
func TestSlowLoris(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		rec := newRecorder()
		newServer(t, remote, echo, ServerConfig{ReadTimeout: 100 * time.Millisecond}, rec)
		s := openStream(t, h, remote.ID())
		_, err := s.Write([]byte{200, 1}) // 200 more bytes announced
		require.NoError(t, err)
		drip := time.NewTicker(5 * time.Millisecond)
		defer drip.Stop()
		for range 190 {
			<-drip.C
			if _, err = s.Write([]byte{8}); err != nil {
				break
			}
		}
		require.ErrorIs(t, err, network.ErrReset)
		require.Equal(t, TimedOut, rec.wait(t, 1)[0].Outcome)
	})
}

func TestSilentStreamIsReset(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		newServer(t, remote, echo, ServerConfig{IdleTimeout: 50 * time.Millisecond}, nil)
		s := openStream(t, h, remote.ID())
		require.NoError(t, send(s, ping("k")))
		f := wire.NewFrameReader(64, 1<<20)
		_, err := frameOf(f, s)
		require.NoError(t, err)
		_, err = frameOf(f, s)
		require.ErrorIs(t, err, network.ErrReset)
	})
}

// A client that sends requests but never reads must not block its worker.
func TestClientThatStopsReading(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		rec := newRecorder()
		srv := newServer(t, remote, func(_ Inbound, _, resp *wire.Message) (bool, error) {
			resp.Record = &wire.Record{Value: make([]byte, 1<<20)}
			return true, nil
		}, ServerConfig{WriteTimeout: 100 * time.Millisecond, MaxProvidersReply: 2 << 20}, rec)
		s := openStream(t, h, remote.ID())
		for range 64 {
			require.NoError(t, send(s, &wire.Message{Type: wire.GetProviders}))
		}
		for {
			stats := rec.wait(t, 1)
			if last := stats[len(stats)-1]; last.Outcome != Replied {
				require.Equal(t, TimedOut, last.Outcome)
				break
			}
		}
		require.Eventually(t, func() bool { return srv.InboundStreams() == 0 }, 10*time.Second, time.Millisecond)
	})
}

// The rate of a peer is remembered across its streams.
func TestRateLimit(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	rec := newRecorder()
	newServer(t, remote, echo, ServerConfig{Rate: 3}, rec)
	c := newClient(t, h, ClientConfig{}, nil)
	for range 3 {
		_, err := c.Request(t.Context(), remote.ID(), ping("k"))
		require.NoError(t, err)
	}
	_, err := newClient(t, h, ClientConfig{}, nil).Request(t.Context(), remote.ID(), ping("k"))
	require.ErrorIs(t, err, ErrNoReply)
	require.Equal(t, ReasonRate, rec.wait(t, 4)[3].Reason)
}

func TestClientMode(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		rec := newRecorder()
		srv := newServer(t, remote, echo, ServerConfig{}, rec)
		require.True(t, srv.Serving())
		s := openStream(t, h, remote.ID())
		require.NoError(t, send(s, ping("k")))
		f := wire.NewFrameReader(64, 1<<20)
		_, err := frameOf(f, s)
		require.NoError(t, err)
		srv.SetServing(false)
		srv.SetServing(false)
		require.False(t, srv.Serving())
		_, err = frameOf(f, s)
		require.ErrorIs(t, err, network.ErrReset)
		require.NotContains(t, remote.Mux().Protocols(), testProto)
		srv.SetServing(true)
		c := newClient(t, h, ClientConfig{}, nil)
		_, err = c.Request(t.Context(), remote.ID(), ping("k"))
		require.NoError(t, err)
		require.NoError(t, srv.Close())
		srv.SetServing(true)
		require.False(t, srv.Serving(), "not after Close")
		require.NoError(t, srv.Close())
	})
}

func TestServerCloseUnderLoad(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		srv := newServer(t, remote, echo, ServerConfig{}, nil)
		c := newClient(t, h, ClientConfig{}, nil)
		var wg sync.WaitGroup
		started := make(chan struct{}, 8)
		for range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					_, err := c.Request(t.Context(), remote.ID(), ping("k"))
					if i == 0 {
						started <- struct{}{}
					}
					if err != nil {
						return
					}
				}
			})
		}
		for range 8 {
			<-started
		}
		require.NoError(t, srv.Close())
		require.Zero(t, srv.InboundStreams())
		wg.Wait()
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	entered, release := make(chan struct{}), make(chan struct{})
	srv := newServer(t, remote, func(Inbound, *wire.Message, *wire.Message) (bool, error) {
		close(entered)
		<-release
		return false, nil
	}, ServerConfig{CloseTimeout: 20 * time.Millisecond}, nil)
	s := openStream(t, h, remote.ID())
	require.NoError(t, send(s, ping("k")))
	<-entered
	require.ErrorIs(t, srv.Close(), ErrStillServing)
	close(release)
	srv.workers.Wait()
}

// A negative limit would refuse or admit everything.
func TestNegativeLimitsTakeTheDefault(t *testing.T) {
	client, defaults := ClientConfig{Timeout: -1, MaxIdle: -1, MaxField: -1}, ClientConfig{}
	client.setDefaults()
	defaults.setDefaults()
	client.Scope, defaults.Scope = nil, nil
	require.Equal(t, defaults, client)
	server, serverDefaults := ServerConfig{MaxStreams: -1, ReadTimeout: -1}, ServerConfig{}
	server.setDefaults()
	serverDefaults.setDefaults()
	server.Scope, server.Reason, serverDefaults.Scope, serverDefaults.Reason = nil, nil, nil, nil
	require.Equal(t, serverDefaults, server)
}

func TestNames(t *testing.T) {
	require.Equal(t, "reply", Replied.String())
	require.Equal(t, "cancelled", Outcome(NumOutcomes-1).String())
}
