package rpc

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// popular is an answer to GET_PROVIDERS with this many providers of about 80 bytes each.
func popular(n int) *wire.Message {
	m := &wire.Message{Type: wire.GetProviders, Key: []byte("k")}
	for i := range n {
		p := wire.Peer{ID: kad.PeerID(fmt.Sprintf("%038d", i))}
		for a := range 4 {
			p.Addrs = append(p.Addrs, []byte{4, 127, 0, 0, 1, 6, byte(i), byte(a)})
		}
		m.ProviderPeers = append(m.ProviderPeers, p)
	}
	return m
}

// Every provider in an answer of up to 4 MiB is returned, the first ones before the last have
// been sent.
func TestLongReplyComesInParts(t *testing.T) {
	onEachTransport(t, func(t *testing.T, h, remote host.Host) {
		first := make(chan struct{})
		foreign(t, remote, func(_ int, s network.Stream) {
			f := wire.NewFrameReader(64, 1<<20)
			for {
				if _, err := frameOf(f, s); err != nil {
					return
				}
				frame := wire.AppendFrame(nil, popular(50_000))
				_, _ = s.Write(frame[:len(frame)/2])
				<-first
				_, _ = s.Write(frame[len(frame)/2:])
			}
		})
		c := newClient(t, h, ClientConfig{}, nil)
		for range 2 { // the second one on the same stream
			var got []wire.Peer
			reply, err := c.RequestParts(t.Context(), remote.ID(), &wire.Message{Type: wire.GetProviders, Key: []byte("k")}, func(part Reply) {
				if len(got) == 0 {
					select {
					case <-first:
					default:
						close(first)
					}
				}
				got = append(got, part.Message.ProviderPeers...)
			})
			require.NoError(t, err)
			got = append(got, reply.Message.ProviderPeers...)
			require.Len(t, got, 50_000)
			require.Equal(t, popular(50_000).ProviderPeers, got)
		}
		require.Equal(t, 1, c.StreamsIdle())
	})
}

// Providers that arrived before an answer was truncated are not lost.
func TestCutReply(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	foreign(t, remote, func(_ int, s network.Stream) {
		_, _ = frameOf(wire.NewFrameReader(64, 1<<20), s)
		frame := wire.AppendFrame(nil, popular(4000))
		_, _ = s.Write(frame[:len(frame)/2])
		_ = s.Close()
	})
	c := newClient(t, h, ClientConfig{}, nil)
	var got []wire.Peer
	_, err := c.RequestParts(t.Context(), remote.ID(), &wire.Message{Type: wire.GetProviders, Key: []byte("k")}, func(part Reply) {
		got = append(got, part.Message.ProviderPeers...)
	})
	require.ErrorIs(t, err, ErrNoReply)
	require.NotEmpty(t, got)
	require.Equal(t, popular(4000).ProviderPeers[:len(got)], got)
}

// A value may be as long as MaxField allows, even with more data after it.
func TestMaxField(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	const limit = 128 << 10
	var size atomic.Int64
	foreign(t, remote, func(_ int, s network.Stream) {
		_, _ = frameOf(wire.NewFrameReader(64, 1<<20), s)
		_ = send(s, &wire.Message{
			Type: wire.GetValue, Key: []byte("k"),
			Record:      &wire.Record{Value: make([]byte, size.Load())},
			CloserPeers: slices.Repeat([]wire.Peer{{ID: "peer"}}, limit/8),
		})
		_ = s.Close()
	})
	c := newClient(t, h, ClientConfig{MaxField: limit}, nil)
	around := protowire.SizeTag(1) + protowire.SizeBytes(limit) - limit // overhead of a field: of the record and of its value
	for over := range int64(2) {
		size.Store(limit - 2*int64(around) + over)
		reply, err := c.Request(t.Context(), remote.ID(), &wire.Message{Type: wire.GetValue, Key: []byte("k")})
		if over > 0 {
			require.ErrorIs(t, err, wire.ErrFrameTooLarge)
			continue
		}
		require.NoError(t, err)
		require.Len(t, reply.Message.Record.Value, int(size.Load()))
	}
}

// Providers in an answer of the wrong type are not returned.
func TestLongReplyOfAnotherType(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	foreign(t, remote, func(_ int, s network.Stream) {
		_, _ = frameOf(wire.NewFrameReader(64, 1<<20), s)
		_ = send(s, popular(40_000))
	})
	c := newClient(t, h, ClientConfig{}, nil)
	_, err := c.RequestParts(t.Context(), remote.ID(), ping("k"), func(Reply) { t.Error("given on") })
	require.ErrorIs(t, err, ErrReplyType)
}

// The part of a long reply that is not passed on needs memory for two parts, however much the
// peer sends.
func TestLongReplyIsNotKept(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	foreign(t, remote, func(_ int, s network.Stream) {
		f := wire.NewFrameReader(64, 1<<20)
		for {
			req, err := frameOf(f, s)
			if err != nil {
				return
			}
			m := &wire.Message{Type: req.Type, Key: req.Key}
			var b []byte
			for range 60 { // closer peers between the providers in each part
				part := popular(800)
				part.Type, part.Key = m.Type, m.Key
				part.CloserPeers = []wire.Peer{{ID: kad.PeerID(fmt.Sprintf("%038d", len(b)))}}
				b = part.Append(b)
			}
			_, _ = s.Write(append(protowire.AppendVarint(nil, uint64(len(b))), b...))
		}
	})
	c := newClient(t, h, ClientConfig{}, nil)
	reply, err := c.Request(t.Context(), remote.ID(), &wire.Message{Type: wire.FindNode, Key: []byte("k")})
	require.NoError(t, err)
	require.LessOrEqual(t, len(reply.Message.CloserPeers), 4)
	require.LessOrEqual(t, reply.Message.Size(), 2*partSize)

	got := 0
	reply, err = c.RequestParts(t.Context(), remote.ID(), &wire.Message{Type: wire.GetProviders, Key: []byte("k")}, func(part Reply) {
		require.LessOrEqual(t, part.Message.Size(), 2*partSize)
		got += len(part.Message.ProviderPeers)
	})
	require.NoError(t, err)
	require.Equal(t, 60*800, got+len(reply.Message.ProviderPeers))
	require.LessOrEqual(t, reply.Message.Size(), 2*partSize)
}
