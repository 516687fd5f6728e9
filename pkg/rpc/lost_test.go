package rpc

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// losing serves like echo, but closes the connection at the requests whose numbers, starting
// at 0, are in lose. It returns the keys it has answered.
func losing(t *testing.T, h host.Host, lose ...int) (answered func() []string) {
	t.Helper()
	doomed, n := map[int]bool{}, 0
	for _, i := range lose {
		doomed[i] = true
	}
	keys := make(chan string, 100)
	newServer(t, h, func(in Inbound, req, resp *wire.Message) (bool, error) {
		n++ // requests arrive one after another
		if doomed[n-1] {
			_ = h.Network().ClosePeer(in.From)
			return false, nil
		}
		keys <- string(req.Key)
		return echo(in, req, resp)
	}, ServerConfig{}, nil)
	return func() (all []string) {
		for len(keys) > 0 {
			all = append(all, <-keys)
		}
		return all
	}
}

// A connection that is lost during a request implies nothing about the peer: two hosts that
// dial each other simultaneously close one of the two connections. The request is sent on
// another one.
func TestLostConnection(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		answered := losing(t, remote, 0, 2)
		rec := newRecorder()
		c := newClient(t, h, ClientConfig{}, rec)
		for _, key := range []string{"on a fresh stream", "on a pooled one", "after both"} {
			_, err := c.Request(t.Context(), remote.ID(), ping(key))
			require.NoError(t, err)
			require.Equal(t, []string{key}, answered())
			require.NotEqual(t, habitOne, c.habit(remote.ID()), "a lost connection does not prove one request per stream")
		}
		require.Len(t, rec.outbound(), 3)
	})
}

// A request is sent at most twice, and a lost connection is not a refusal.
func TestLostTwice(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		answered := losing(t, remote, 0, 1)
		rec := newRecorder()
		c := newClient(t, h, ClientConfig{}, rec)
		_, err := c.Request(t.Context(), remote.ID(), ping("k"))
		require.ErrorIs(t, err, ErrConnLost)
		require.NotErrorIs(t, err, ErrNoReply)
		require.Empty(t, answered())
		require.Equal(t, ReasonEnded, rec.outbound()[0].Reason)
	})
}

func TestLostAnnouncements(t *testing.T) {
	for _, many := range []int{1, 3} {
		onEachTransport(t, func(t *testing.T, h, remote host.Host) {
			answered := losing(t, remote, 0)
			c := newClient(t, h, ClientConfig{}, nil)
			sent, err := c.Notify(t.Context(), remote.ID(), provide(many)...)
			require.NoError(t, err)
			require.Equal(t, many, sent)
			require.Subset(t, answered(), keysOf(provide(many)))
		})
	}
}

func keysOf(ms []*wire.Message) (keys []string) {
	for _, m := range ms {
		keys = append(keys, string(m.Key))
	}
	return keys
}

// If the connection to a peer that answers announcements is lost, this is not ErrLimited.
func TestLostIsNotLimited(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		losing(t, remote, 0, 1)
		c := newClient(t, h, ClientConfig{}, nil)
		c.took(remote.ID(), true)
		_, err := c.Notify(t.Context(), remote.ID(), provide(1)...)
		require.ErrorIs(t, err, ErrConnLost)
		require.NotErrorIs(t, err, ErrLimited)
	})
}

// The connection may be lost while the protocol of a stream is still being negotiated.
func TestLostInNegotiation(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		answered := losing(t, remote)
		lost := make(chan struct{}, 1)
		remote.Network().SetStreamHandler(func(s network.Stream) {
			select {
			case lost <- struct{}{}:
				_ = s.Conn().Close()
				return
			default:
			}
			proto, handle, err := remote.Mux().Negotiate(s)
			if err != nil {
				_ = s.Reset()
				return
			}
			_ = handle(proto, s)
		})
		require.NoError(t, h.Peerstore().RemoveProtocols(remote.ID(), testProto))
		c := newClient(t, h, ClientConfig{}, nil)
		_, err := c.Request(t.Context(), remote.ID(), ping("k"))
		require.NoError(t, err)
		require.Equal(t, []string{"k"}, answered())
		require.Len(t, lost, 1)
	})
}
