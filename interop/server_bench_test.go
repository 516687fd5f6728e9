package interop

import (
	"slices"
	"testing"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/rpcbench"
	holdfast "github.com/holdfast-dht/holdfast/pkg/node"
)

// BenchmarkServers sends requests to a server of Holdfast and one of go-libp2p-kad-dht in
// turns. Both use the same host code and have the same 24 peers in their tables. Client
// and server share the process, so the CPU times include both.
func BenchmarkServers(b *testing.B) {
	a, z := newOurs(b, holdfast.ModeServer), newTheirs(b, dht.ModeServer)
	for range 24 {
		n := newTheirs(b, dht.ModeServer)
		for _, h := range []host.Host{a.host(), z.host()} {
			require.NoError(b, n.h.Connect(b.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}))
		}
	}
	require.Eventually(b, func() bool { return a.tableSize() >= 20 && z.tableSize() >= 20 }, time.Minute, 10*time.Millisecond)

	for _, op := range []string{rpcbench.Ping, rpcbench.FindNode, rpcbench.GetProviders} {
		b.Run(op, func(b *testing.B) {
			var rates, costs []float64
			var last [2]rpcbench.Result
			for b.Loop() {
				for i, h := range []host.Host{a.host(), z.host()} {
					last[i] = measureServer(b, op, h)
				}
				rates = append(rates, last[0].PerSecond/last[1].PerSecond)
				costs = append(costs, last[0].CPU/last[1].CPU)
			}
			b.ReportMetric(median(rates), "x-their-rate")
			b.ReportMetric(median(costs), "of-their-CPU")
			for i, name := range []string{"our", "their"} {
				b.ReportMetric(last[i].PerSecond, name+"-req/s")
				b.ReportMetric(float64(last[i].ReplyBytes), name+"-reply-B")
			}
		})
	}
}

func measureServer(b *testing.B, op string, h host.Host) (out rpcbench.Result) {
	cfg := rpcbench.Config{Operations: []string{op}, Rounds: 1, Window: time.Second}
	to := peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
	require.NoError(b, rpcbench.Other(b.Context(), cfg, to, "/ipfs", func(string) {}, func(r rpcbench.Result) { out = r }))
	return out
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
