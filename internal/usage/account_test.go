package usage

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

func request(id string, t wire.Type) rpc.Stats {
	return rpc.Stats{Peer: peer.ID(id), Type: t, Outcome: rpc.Replied, BytesIn: 10, BytesOut: 100, Duration: time.Millisecond}
}

// totalOf is the total cost of all peers of a report.
func totalOf(r Report) Cost {
	sum := r.Others
	for i := range r.Peers {
		for t, n := range r.Peers[i].Requests {
			sum.Requests[t] += n
		}
		sum.BytesOut += r.Peers[i].BytesOut
		sum.Stored += r.Peers[i].Stored
	}
	return sum
}

func TestCounts(t *testing.T) {
	a := New()
	at := time.Unix(1e9, 0)
	a.now = func() time.Time { return at }
	a.Inbound(request("a", wire.FindNode))
	at = at.Add(time.Minute)
	a.Inbound(request("a", wire.FindNode))
	a.Inbound(rpc.Stats{Peer: "a", Type: wire.NumTypes + 3, Outcome: rpc.Rejected, Reason: rpc.ReasonMalformed, BytesIn: 7, Duration: time.Hour})
	for i := range 3 {
		s := request("b", wire.AddProvider)
		s.Key = fmt.Appendf(nil, "key %d", i%2)
		a.Inbound(s)
	}
	a.Inbound(rpc.Stats{Peer: "b", Type: wire.AddProvider, Outcome: rpc.Rejected, Key: []byte("x")})
	a.Outbound(request("c", wire.Ping))

	r := a.Report()
	require.Len(t, r.Peers, 2)
	b, one := r.Peers[0], r.Peers[1]
	require.Equal(t, peer.ID("b"), b.ID, "most bytes first")
	require.EqualValues(t, 3, b.Stored)
	require.EqualValues(t, 1, b.Rejected)
	require.EqualValues(t, 4, b.Requests[wire.AddProvider])
	require.EqualValues(t, 3, one.Total())
	require.EqualValues(t, 2, one.Requests[wire.FindNode])
	require.EqualValues(t, 1, one.Requests[wire.NumTypes])
	require.EqualValues(t, 27, one.BytesIn)
	require.EqualValues(t, 200, one.BytesOut)
	require.Equal(t, 2*time.Millisecond, one.Busy, "only the time of whole requests counts")
	require.Equal(t, time.Minute, one.Last.Sub(one.First))
	require.Zero(t, r.Others.Total())
	require.True(t, r.Others.Last.IsZero())
	total := totalOf(a.Report())
	require.EqualValues(t, 7, total.Total())
}

// However many peers send requests, memory is bounded, totals lose nothing, and busy
// peers are not evicted.
func TestManyPeers(t *testing.T) {
	a := New()
	const strangers = 3 * maxPeers
	for i := range strangers {
		a.Inbound(request(fmt.Sprintf("stranger %d", i), wire.FindNode))
		a.Inbound(request("busy", wire.Ping))
	}
	r := a.Report()
	require.Len(t, r.Peers, maxPeers)
	require.Equal(t, peer.ID("busy"), r.Peers[0].ID)
	require.EqualValues(t, strangers, r.Peers[0].Requests[wire.Ping])
	require.EqualValues(t, strangers, r.Others.Requests[wire.FindNode]+uint64(len(r.Peers))-1)
	total := totalOf(a.Report())
	require.EqualValues(t, 2*strangers, total.Total())
	require.EqualValues(t, 2*strangers*100, total.BytesOut)
}

func TestCountsAtOnce(t *testing.T) {
	a := New()
	const workers, each = 8, 4000
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range each {
				s := request(fmt.Sprintf("p%d", rng.IntN(2*maxPeers)), wire.AddProvider)
				s.Key = fmt.Appendf(nil, "%d", i)
				a.Inbound(s)
				if i%1000 == 0 {
					a.Report()
				}
			}
		})
	}
	all.Wait()
	total := totalOf(a.Report())
	require.EqualValues(t, workers*each, total.Total())
	require.EqualValues(t, workers*each, total.Stored)
}

func BenchmarkInbound(b *testing.B) {
	for name, kind := range map[string]wire.Type{"find_node": wire.FindNode, "add_provider": wire.AddProvider} {
		b.Run(name, func(b *testing.B) {
			a := New()
			ids := make([]string, 500)
			for i := range ids {
				ids[i] = fmt.Sprintf("\x00\x24\x08\x01\x12\x20%032d", i)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				s := request("", kind)
				s.Key = make([]byte, 34)
				for i := 0; pb.Next(); i++ {
					s.Peer = peer.ID(ids[i%len(ids)])
					s.Key[i%34]++
					a.Inbound(s)
				}
			})
		})
	}
}

func BenchmarkInboundOfOnePeer(b *testing.B) {
	a := New()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		s := request("\x00\x24\x08\x01\x12\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", wire.FindNode)
		for pb.Next() {
			a.Inbound(s)
		}
	})
}
