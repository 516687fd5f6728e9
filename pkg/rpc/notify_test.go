package rpc

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// keeper counts the ADD_PROVIDERs it receives and answers everything else.
type keeper struct {
	mu     sync.Mutex
	keys   map[string]int
	other  int
	answer bool // answer ADD_PROVIDER too
}

func (k *keeper) handle(in Inbound, req, resp *wire.Message) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if req.Type != wire.AddProvider {
		k.other++
		return echo(in, req, resp)
	}
	if k.keys == nil {
		k.keys = make(map[string]int)
	}
	k.keys[string(req.Key)]++
	resp.Key = req.Key
	return k.answer, nil
}

func (k *keeper) counts() (keys, other int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.keys), k.other
}

func TestNotify(t *testing.T) {
	for _, answers := range []bool{false, true} {
		t.Run(fmt.Sprintf("answered=%v", answers), func(t *testing.T) {
			onEachTransport(t, func(t *testing.T, h, remote host.Host) {
				k := keeper{answer: answers}
				newServer(t, remote, k.handle, ServerConfig{}, nil)
				rec := newRecorder()
				c := newClient(t, h, ClientConfig{}, rec)

				sent, err := c.Notify(t.Context(), remote.ID(), provide(500)...)
				require.NoError(t, err)
				require.Equal(t, 500, sent)
				keys, other := k.counts()
				require.Equal(t, 500, keys, "all have arrived when Notify returns")
				require.Equal(t, 1, other, "the fence")

				sent, err = c.Notify(t.Context(), remote.ID(), provide(1000)...)
				require.NoError(t, err)
				require.Equal(t, 1000, sent)
				sent, err = c.Notify(t.Context(), remote.ID(), provide(1)...)
				require.NoError(t, err)
				require.Equal(t, 1, sent)
				keys, other = k.counts()
				require.Equal(t, 1000, keys)
				require.Equal(t, 1, other, "no fence for a known peer")

				require.Zero(t, c.StreamsIdle(), "streams of a Notify are not reused")
				reply, err := c.Request(t.Context(), remote.ID(), ping("k"))
				require.NoError(t, err)
				require.Equal(t, wire.Ping, reply.Message.Type)
				require.Len(t, rec.outbound(), 1502)
			})
		})
	}
}

func TestNotifyNothing(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	c := newClient(t, h, ClientConfig{}, nil)
	sent, err := c.Notify(t.Context(), remote.ID())
	require.NoError(t, err)
	require.Zero(t, sent)
}

// py-libp2p reads one message per stream, whether or not it answers.
func TestNotifyOneRequestPerStream(t *testing.T) {
	for _, answers := range []bool{false, true} {
		t.Run(fmt.Sprintf("answered=%v", answers), func(t *testing.T) {
			onEachTransport(t, func(t *testing.T, h, remote host.Host) {
				got := oneRequestPerStream(t, remote, func(*wire.Message) bool { return answers })
				c := newClient(t, h, ClientConfig{}, nil)
				for range 2 {
					sent, err := c.Notify(t.Context(), remote.ID(), provide(20)...)
					require.NoError(t, err)
					require.Equal(t, 20, sent)
					require.Equal(t, habitOne, c.habit(remote.ID()))
				}
				keys := make(map[string]bool)
				for _, k := range got() {
					keys[k] = true
				}
				require.Len(t, keys, 20, "none is lost")
				total := 41 // one was sent twice: in the first, failed pipeline too
				if answers {
					total = 40 // its answer confirmed it
				}
				require.Len(t, got(), total)
			})
		})
	}
}

// A peer that served several requests per stream no longer does.
func TestNotifyHabitChanged(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	got := oneRequestPerStream(t, remote, func(*wire.Message) bool { return false })
	c := newClient(t, h, ClientConfig{}, nil)
	c.learn(remote.ID(), habitMany)
	big := provide(200)
	for _, m := range big {
		m.Key = append(m.Key, make([]byte, 8<<10)...) // larger than a stream's window, so the end is noticed during the write
	}
	sent, err := c.Notify(t.Context(), remote.ID(), big...)
	require.NoError(t, err)
	require.Equal(t, 200, sent)
	require.GreaterOrEqual(t, len(got()), 200)
	require.NotEqual(t, habitMany, c.habit(remote.ID()))
}

func TestNotifyRejected(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		k := keeper{}
		newServer(t, remote, func(in Inbound, req, resp *wire.Message) (bool, error) {
			if string(req.Key) == "bad" {
				return false, io.ErrShortBuffer
			}
			return k.handle(in, req, resp)
		}, ServerConfig{}, nil)
		c := newClient(t, h, ClientConfig{}, nil)
		bad := &wire.Message{Type: wire.AddProvider, Key: []byte("bad")}
		_, err := c.Notify(t.Context(), remote.ID(), bad)
		require.ErrorIs(t, err, ErrNoReply)

		reqs := append([]*wire.Message{bad}, provide(5)...)
		sent, err := c.Notify(t.Context(), remote.ID(), reqs...)
		require.ErrorIs(t, err, ErrNoReply, "one was rejected")
		require.Equal(t, 5, sent)
		keys, _ := k.counts()
		require.Equal(t, 5, keys, "one bad message does not fail the others")

		sent, err = c.Notify(t.Context(), remote.ID(), bad, bad, bad, bad, bad, bad)
		require.ErrorIs(t, err, ErrNoReply)
		require.Zero(t, sent)
	})
}

// If a peer neither answers nor ends its stream, the message counts as accepted after a
// while.
func TestNotifySilentPeer(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		keep := make(chan network.Stream, 1)
		foreign(t, remote, func(_ int, s network.Stream) { keep <- s })
		c := newClient(t, h, ClientConfig{ConfirmTimeout: 30 * time.Millisecond, Timeout: 60 * time.Millisecond}, nil)
		sent, err := c.Notify(t.Context(), remote.ID(), provide(1)...)
		require.NoError(t, err)
		require.Equal(t, 1, sent)
		s := <-keep
		m, err := frameOf(wire.NewFrameReader(64, 1<<20), s)
		require.NoError(t, err, "the message counts as accepted")
		require.Equal(t, wire.AddProvider, m.Type)
		_ = s.Reset()
		_, err = c.Notify(t.Context(), remote.ID(), provide(2)...)
		require.ErrorIs(t, err, ErrTimeout, "a fence needs an answer")
		_ = (<-keep).Reset()
	})
}

// A peer that never stops sending is cut off.
func TestNotifyChatteringPeer(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	foreign(t, remote, func(_ int, s network.Stream) {
		for send(s, ping("x")) == nil {
		}
		_ = s.Reset()
	})
	c := newClient(t, h, ClientConfig{}, nil)
	_, err := c.Notify(t.Context(), remote.ID(), provide(3)...)
	require.ErrorIs(t, err, wire.ErrMalformed)
}

// answersThenResets serves like py-libp2p 0.8.1: it answers ADD_PROVIDER and serves several
// requests per stream, but resets the stream when it reads the end of our side. It accepts
// limit messages of one peer and resets the next. It returns the keys it has accepted.
func answersThenResets(t *testing.T, h host.Host, limit int) func() []string {
	var mu sync.Mutex
	var keys []string
	foreign(t, h, func(_ int, s network.Stream) {
		defer s.Reset()
		frames := wire.NewFrameReader(64, 1<<20)
		for {
			m, err := frameOf(frames, s)
			if err != nil {
				return
			}
			if m.Type == wire.AddProvider {
				mu.Lock()
				taken := len(keys) < limit
				if taken {
					keys = append(keys, string(m.Key))
				}
				mu.Unlock()
				if !taken {
					return
				}
			}
			if send(s, &wire.Message{Type: m.Type, Key: m.Key}) != nil {
				return
			}
		}
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), keys...)
	}
}

// A peer that answers has accepted the message, however it ends the stream. Once it is known,
// it receives each message only once.
func TestNotifyAnsweredThenReset(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		got := answersThenResets(t, remote, 1000)
		c := newClient(t, h, ClientConfig{ConfirmTimeout: 20 * time.Second}, nil)
		for i := range 20 {
			sent, err := c.Notify(t.Context(), remote.ID(), provide(20)[i])
			require.NoError(t, err)
			require.Equal(t, 1, sent)
		}
		require.LessOrEqual(t, len(got()), 21, "the first answer may come late and get lost")
		require.Equal(t, acksAlways, c.conduct(remote.ID()).acks)
	})
}

// A peer that limits messages is distinguished from one that rejects a message, and the
// messages it accepted before count.
func TestNotifyLimited(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		got := answersThenResets(t, remote, 10)
		c := newClient(t, h, ClientConfig{ConfirmTimeout: 20 * time.Second}, nil)
		var err error
		sent := 0
		for i := 0; i < 20 && err == nil; i++ {
			n, e := c.Notify(t.Context(), remote.ID(), provide(20)[i])
			sent, err = sent+n, e
		}
		require.ErrorIs(t, err, ErrLimited)
		require.ErrorIs(t, err, ErrNoReply)
		require.Len(t, got(), 10)
		require.GreaterOrEqual(t, sent, 9, "the first answer may come late and get lost")

		_, err = c.Notify(t.Context(), remote.ID(), provide(3)...)
		require.ErrorIs(t, err, ErrLimited)
	})
}

// js-libp2p does not answer. It resets the stream if our side ends while it waits for the
// next message, and ends it cleanly if the end arrives together with the message.
func TestNotifyResetAtTheEnd(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		var streams atomic.Int32
		foreign(t, remote, func(_ int, s network.Stream) {
			waits := streams.Add(1) <= 2 // the first message, sent twice
			frames := wire.NewFrameReader(64, 1<<20)
			_, err := frameOf(frames, s)
			if err == nil {
				_, err = frameOf(frames, s)
			}
			if errors.Is(err, io.EOF) && !waits {
				_ = s.Close()
				return
			}
			_ = s.Reset()
		})
		c := newClient(t, h, ClientConfig{ConfirmTimeout: time.Second}, nil)
		for _, req := range provide(3) {
			sent, err := c.Notify(t.Context(), remote.ID(), req)
			require.NoError(t, err)
			require.Equal(t, 1, sent)
		}
		require.Equal(t, acksNever, c.conduct(remote.ID()).acks)
		require.EqualValues(t, 4, streams.Load(), "from then on our side ends at once")
	})
}

// A peer that has never answered and resets the stream rejects the message.
func TestNotifyRejectedIsNotLimited(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	got := answersThenResets(t, remote, 0)
	c := newClient(t, h, ClientConfig{}, nil)
	_, err := c.Notify(t.Context(), remote.ID(), provide(1)...)
	require.ErrorIs(t, err, ErrNoReply)
	require.NotErrorIs(t, err, ErrLimited)
	require.Empty(t, got())
}
