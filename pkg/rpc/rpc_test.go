package rpc

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

const testProto = protocol.ID("/test/kad/1.0.0")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var transports = map[string]string{
	"tcp":  "/ip4/127.0.0.1/tcp/0",
	"quic": "/ip4/127.0.0.1/udp/0/quic-v1",
}

// onEachTransport runs a test over TCP and over QUIC.
func onEachTransport(t *testing.T, f func(t *testing.T, client, server host.Host)) {
	for name, listen := range transports {
		t.Run(name, func(t *testing.T) {
			client, server := newHosts(t, listen)
			f(t, client, server)
		})
	}
}

// newHosts returns two hosts; the first is connected to the second.
func newHosts(tb testing.TB, listen string) (client, server host.Host) {
	tb.Helper()
	server = newHost(tb, listen)
	return connected(tb, listen, server), server
}

// connected returns a client that is connected to the server.
func connected(tb testing.TB, listen string, server host.Host) host.Host {
	tb.Helper()
	client := newHost(tb, listen)
	client.Peerstore().AddAddrs(server.ID(), server.Addrs(), time.Hour)
	require.NoError(tb, client.Connect(context.Background(), peer.AddrInfo{ID: server.ID()}))
	// As if the server had registered the protocol before the identify exchange: then the
	// protocol is negotiated together with the first message, not before it.
	require.NoError(tb, client.Peerstore().AddProtocols(server.ID(), testProto))
	return client
}

func newHost(tb testing.TB, listen string) host.Host {
	tb.Helper()
	return newHostWith(tb, listen, &network.NullResourceManager{})
}

func newHostWith(tb testing.TB, listen string, resources network.ResourceManager) host.Host {
	tb.Helper()
	h, err := libp2p.New(
		libp2p.ListenAddrStrings(listen), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ResourceManager(resources),
	)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = h.Close() })
	return h
}

func newClient(tb testing.TB, h host.Host, cfg ClientConfig, obs Observer) *Client {
	c := NewClient(h, testProto, cfg, obs)
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

func newServer(tb testing.TB, h host.Host, handle HandleFunc, cfg ServerConfig, obs Observer) *Server {
	s := NewServer(h, []protocol.ID{testProto}, handle, cfg, obs)
	s.SetServing(true)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

// echo answers every request except ADD_PROVIDER with its type and key.
func echo(_ Inbound, req, resp *wire.Message) (bool, error) {
	resp.Key = req.Key
	return req.Type != wire.AddProvider, nil
}

// recorder is an Observer that records everything.
type recorder struct {
	mu      sync.Mutex
	in, out []Stats
	seen    chan struct{} // one element per inbound RPC
}

func newRecorder() *recorder { return &recorder{seen: make(chan struct{}, 1<<16)} }

func (r *recorder) Outbound(s Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Key = append([]byte(nil), s.Key...)
	r.out = append(r.out, s)
}

func (r *recorder) Inbound(s Stats) {
	r.mu.Lock()
	s.Key = append([]byte(nil), s.Key...)
	r.in = append(r.in, s)
	r.mu.Unlock()
	r.seen <- struct{}{}
}

// wait returns the inbound stats when there are at least n.
func (r *recorder) wait(t *testing.T, n int) []Stats {
	t.Helper()
	for range n {
		select {
		case <-r.seen:
		case <-t.Context().Done():
			t.Fatal("observer saw too few inbound RPCs")
		case <-time.After(20 * time.Second):
			t.Fatal("observer saw too few inbound RPCs")
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Stats(nil), r.in...)
}

func (r *recorder) outbound() []Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Stats(nil), r.out...)
}

// foreign serves with the given function instead of a Server: serve gets each stream and its
// number, starting at 1.
func foreign(t *testing.T, h host.Host, serve func(n int, s network.Stream)) {
	var mu sync.Mutex
	streams := 0
	h.SetStreamHandler(testProto, func(s network.Stream) {
		mu.Lock()
		streams++
		n := streams
		mu.Unlock()
		serve(n, s)
	})
	t.Cleanup(func() { h.RemoveStreamHandler(testProto) })
}

// frameOf reads one message from a stream of a foreign server.
func frameOf(f *wire.FrameReader, s io.Reader) (*wire.Message, error) {
	for {
		b, ok, err := f.Next()
		if err != nil {
			return nil, err
		}
		if ok {
			return wire.Parse(append([]byte(nil), b...))
		}
		if _, err := f.Fill(s); err != nil {
			return nil, err
		}
	}
}

func send(s io.Writer, m *wire.Message) error {
	_, err := s.Write(wire.AppendFrame(nil, m))
	return err
}

func provide(n int) []*wire.Message {
	var out []*wire.Message
	for i := range n {
		out = append(out, &wire.Message{Type: wire.AddProvider, Key: fmt.Appendf(nil, "key %04d", i)})
	}
	return out
}

func ping(key string) *wire.Message { return &wire.Message{Type: wire.Ping, Key: []byte(key)} }

// twentyPeers is a FIND_NODE answer of 20 peers with two addresses each.
func twentyPeers() []wire.Peer {
	addrs := [][]byte{
		[]byte("\x04\x01\x02\x03\x04\x06\x0f\xa1"),             // /ip4/1.2.3.4/tcp/4001
		[]byte("\x04\x01\x02\x03\x04\x91\x02\x0f\xa1\xcd\x03"), // /ip4/1.2.3.4/udp/4001/quic-v1
	}
	var out []wire.Peer
	for i := range 20 {
		id := kad.PeerID(fmt.Sprintf("\x12\x20%032d", i))
		out = append(out, wire.Peer{ID: id, Addrs: addrs})
	}
	return out
}

func rawPeers(ps []wire.Peer) []wire.Peer {
	for i := range ps {
		ps[i] = wire.Peer{Raw: wire.AppendPeer(nil, &ps[i])}
	}
	return ps
}

func openStream(t *testing.T, from host.Host, to peer.ID) network.Stream {
	t.Helper()
	s, err := from.NewStream(context.WithoutCancel(t.Context()), to, testProto)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Reset() })
	return s
}
