package rpcbench

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/pkg/node"
)

// small is a short measurement, which says nothing about speed.
func small(t *testing.T, transport string) Config {
	return Config{
		Transport: transport, Peers: 2, Streams: 4, Announcers: 3, Announcements: 300, Records: 500,
		Rounds: 2, Window: 200 * time.Millisecond, Dir: t.TempDir(),
	}
}

func TestOwn(t *testing.T) {
	for _, transport := range []string{"tcp", "quic"} {
		t.Run(transport, func(t *testing.T) {
			cfg := small(t, transport)
			var got []Result
			require.NoError(t, Own(t.Context(), cfg, func(string) {}, func(r Result) { got = append(got, r) }))
			require.Len(t, got, len(Operations()))
			for i, r := range got {
				require.Equal(t, Operations()[i], r.Operation)
				require.Equal(t, transport, r.Transport)
				require.Positive(t, r.PerSecond)
				require.Positive(t, r.Limit)
				require.Positive(t, r.Share)
				require.LessOrEqual(t, r.ShareLow, r.Share)
				require.GreaterOrEqual(t, r.ShareHigh, r.Share)
				require.Equal(t, 500, r.Records)
			}
			require.Equal(t, got[0].RequestBytes, got[1].RequestBytes)
			require.Greater(t, got[1].ReplyBytes, 20*50, "twenty peers with two addresses")
			require.Greater(t, got[2].ReplyBytes, got[1].ReplyBytes, "one more provider")
			left, err := os.ReadDir(cfg.Dir)
			require.NoError(t, err)
			require.NotEmpty(t, left, "the caller removes the directory")
		})
	}
}

func TestOther(t *testing.T) {
	h, err := newHost("/ip4/127.0.0.1/tcp/0")
	require.NoError(t, err)
	defer h.Close()
	n, err := node.New(h, node.Config{ProtocolPrefix: "/other"})
	require.NoError(t, err)
	defer n.Close()
	ai := peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
	cfg := small(t, "tcp")
	var got []string
	require.NoError(t, Other(t.Context(), cfg, ai, "/other", func(string) {}, func(r Result) {
		got = append(got, r.Operation)
		require.Equal(t, "ping of 32 bytes", r.LimitName)
		require.Positive(t, r.Share)
	}))
	require.Equal(t, []string{Ping, FindNode, GetProviders}, got, "nothing is written to a remote node")

	require.ErrorContains(t, Other(t.Context(), cfg, ai, "/wrong", func(string) {}, func(Result) {}), "/wrong/kad/1.0.0")
	cfg.Transport = "quic"
	require.ErrorContains(t, Other(t.Context(), cfg, ai, "/other", func(string) {}, func(Result) {}), "no address over quic")
}

func TestAMeasurementEndsWithItsContext(t *testing.T) {
	cfg := small(t, "tcp")
	cfg.Window = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	require.ErrorIs(t, Own(ctx, cfg, func(string) {}, func(Result) {}), context.DeadlineExceeded)
}

func TestValidate(t *testing.T) {
	require.NoError(t, Config{}.Validate())
	err := Config{Operations: []string{"PONG"}, Transport: "carrier pigeon", Peers: 9, Streams: 8, Rounds: -1, Window: 1}.Validate()
	require.ErrorIs(t, err, ErrConfig)
	for _, says := range []string{"PONG", "carrier pigeon", "streams 8", "rounds -1", "window 1ns"} {
		require.ErrorContains(t, err, says)
	}
}

// Each number may have the value of its bound, but no more.
func TestBounds(t *testing.T) {
	type validator interface{ Validate() error }
	for name, c := range map[string]struct {
		most   int
		config func(n int) validator
	}{
		"peers":         {maxPeers, func(n int) validator { return Config{Peers: n, Streams: maxStreams} }},
		"announcers":    {maxPeers, func(n int) validator { return Config{Announcers: n} }},
		"streams":       {maxStreams, func(n int) validator { return Config{Streams: n} }},
		"announcements": {maxAnnouncements, func(n int) validator { return Config{Announcements: n} }},
		"records":       {maxRecords, func(n int) validator { return Config{Records: n} }},
		"count": {maxLookups, func(n int) validator {
			return LookupConfig{Lookup: api.LookupClosest, Count: n, Parallel: 1}
		}},
		"parallel": {maxParallel, func(n int) validator {
			return LookupConfig{Lookup: api.LookupClosest, Count: 1, Parallel: n}
		}},
	} {
		require.NoError(t, c.config(c.most).Validate(), name)
		require.ErrorContains(t, c.config(c.most+1).Validate(), name, name)
	}
}

// The protocols of the limits serve messages of up to maxMessage bytes and end streams that
// request larger ones.
func TestMaxMessage(t *testing.T) {
	for over := range 2 {
		var out bytes.Buffer
		stream := func(sent []byte) io.ReadWriter {
			return struct {
				io.Reader
				io.Writer
			}{bytes.NewReader(sent), &out}
		}
		echo(stream(append(twoNumbers(1, maxMessage+over), 0)))
		require.Equal(t, over > 0, out.Len() == 0)
		require.Equal(t, over > 0, sink(stream(twoNumbers(maxMessage+over, 0))) != nil)
	}
}

func TestMedian(t *testing.T) {
	require.Equal(t, 2.0, median([]float64{9, 1, 2}))
	require.Equal(t, 3.0, median([]float64{4, 1, 2, 9}))
}

func TestKeysDiffer(t *testing.T) {
	seen := map[string]bool{}
	for i := range uint64(10_000) {
		seen[string(keyOf(nil, i))] = true
	}
	require.Len(t, seen, 10_000)
}

// If a daemon cannot start, or its neighbours do not appear, nothing is left behind.
func TestOwnThatCannotStart(t *testing.T) {
	cfg := small(t, "tcp")
	cfg.Dir = "/dev/null/nowhere"
	require.Error(t, Own(t.Context(), cfg, func(string) {}, func(Result) {}))
	cfg = small(t, "tcp")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, Own(ctx, cfg, func(string) {}, func(Result) {}))
}

func TestNodeWithoutPing(t *testing.T) {
	client, err := newHost()
	require.NoError(t, err)
	defer client.Close()
	server, err := newHost("/ip4/127.0.0.1/tcp/0")
	require.NoError(t, err)
	defer server.Close()
	server.RemoveStreamHandler(ping.ID)
	require.NoError(t, client.Connect(t.Context(), peer.AddrInfo{ID: server.ID(), Addrs: server.Addrs()}))
	_, err = openPing(t.Context(), []host.Host{client}, server.ID(), 1)
	require.EqualError(t, err, server.ID().String()+" does not answer libp2p's ping")
}
