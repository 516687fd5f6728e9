package rpc

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

const echoProto = protocol.ID("/test/echo/1.0.0")

// benchStreams is the number of concurrent streams, all on one connection.
const benchStreams = 64

// BenchmarkFindNode measures the server with a pre-encoded answer of 20 peers with two
// addresses each. BenchmarkEcho exchanges the same bytes between the same hosts without a
// server. The client side is the same loop in both.
func BenchmarkFindNode(b *testing.B) { onTransports(b, benchFindNode) }

// BenchmarkEcho is the limit of libp2p here: a handler that reads a request of known size and
// writes an answer as large as that of BenchmarkFindNode.
func BenchmarkEcho(b *testing.B) { onTransports(b, benchEcho) }

func onTransports(b *testing.B, f func(b *testing.B, listen string)) {
	for name, listen := range transports {
		b.Run(name, func(b *testing.B) { f(b, listen) })
	}
}

func benchFindNode(b *testing.B, listen string) {
	client, server := newHosts(b, listen)
	raw := rawPeers(twentyPeers())
	newServer(b, server, func(_ Inbound, _, resp *wire.Message) (bool, error) {
		resp.CloserPeers = append(resp.CloserPeers, raw...)
		return true, nil
	}, ServerConfig{Rate: -1}, nil)
	bench(b, client, server, testProto)
}

func benchEcho(b *testing.B, listen string) {
	client, server := newHosts(b, listen)
	request, reply := len(findNodeFrame()), findNodeReply()
	server.SetStreamHandler(echoProto, func(s network.Stream) {
		defer func() { _ = s.Reset() }()
		in := make([]byte, request)
		for {
			if _, err := io.ReadFull(s, in); err != nil {
				return
			}
			if _, err := s.Write(reply); err != nil {
				return
			}
		}
	})
	bench(b, client, server, echoProto)
}

func findNodeFrame() []byte {
	return wire.AppendFrame(nil, &wire.Message{Type: wire.FindNode, Key: fmt.Appendf(nil, "\x12\x20%032d", 7)})
}

func findNodeReply() []byte {
	return wire.AppendFrame(nil, &wire.Message{Type: wire.FindNode, CloserPeers: rawPeers(twentyPeers())})
}

func bench(b *testing.B, client, server host.Host, proto protocol.ID) {
	streams := make([]network.Stream, benchStreams)
	for i := range streams {
		s, err := client.NewStream(context.Background(), server.ID(), proto)
		require.NoError(b, err)
		defer func() { _ = s.Reset() }()
		streams[i] = s
	}
	askAll(b, streams, benchStreams) // negotiates the protocol
	b.SetBytes(int64(len(findNodeReply())))
	b.ReportAllocs()
	b.ResetTimer()
	askAll(b, streams, b.N)
	b.StopTimer()
}

// askAll sends n requests over the streams, one at a time on each.
func askAll(b *testing.B, streams []network.Stream, n int) {
	frame, size := findNodeFrame(), len(findNodeReply())
	var wg sync.WaitGroup
	for i, s := range streams {
		wg.Go(func() {
			in := make([]byte, size)
			for j := i; j < n; j += len(streams) {
				if _, err := s.Write(frame); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(s, in); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestFindNodeShare logs the throughput of FIND_NODE relative to the echo, measured
// alternately in one run. It is a measurement, so it runs only if HOLDFAST_BENCH is set.
func TestFindNodeShare(t *testing.T) {
	if os.Getenv("HOLDFAST_BENCH") == "" {
		t.Skip("HOLDFAST_BENCH is not set")
	}
	for name, listen := range transports {
		var echo, find int64
		for range 5 {
			echo += testing.Benchmark(func(b *testing.B) { benchEcho(b, listen) }).NsPerOp()
			find += testing.Benchmark(func(b *testing.B) { benchFindNode(b, listen) }).NsPerOp()
		}
		t.Logf("%s: echo %d ns/op, FIND_NODE %d ns/op, share %.2f", name, echo/5, find/5, float64(echo)/float64(find))
	}
}

// BenchmarkRequest measures a whole round trip of Client and Server.
func BenchmarkRequest(b *testing.B) {
	client, server := newHosts(b, transports["tcp"])
	raw := rawPeers(twentyPeers())
	newServer(b, server, func(_ Inbound, _, resp *wire.Message) (bool, error) {
		resp.CloserPeers = append(resp.CloserPeers, raw...)
		return true, nil
	}, ServerConfig{Rate: -1}, nil)
	c := newClient(b, client, ClientConfig{}, nil)
	req := &wire.Message{Type: wire.FindNode, Key: make([]byte, 34)}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Request(context.Background(), server.ID(), req); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
