package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// linked returns the links of a world and two nodes for them.
func linked(seed uint64, set ...string) (links, *node, *node) {
	o := DefaultOptions()
	o.Seed = seed
	for i := 0; i < len(set); i += 2 {
		if err := o.Set(set[i], set[i+1]); err != nil {
			panic(err)
		}
	}
	return newLinks(&o), &node{}, &node{}
}

// The round-trip time of a pair never changes: it is the same in both directions and in
// every world with the same seed.
func TestRoundTripsBelongToThePair(t *testing.T) {
	for _, model := range []string{LatencyLogNormal, LatencyRegions} {
		rapid.Check(t, func(t *rapid.T) {
			seed := rapid.Uint64().Draw(t, "seed")
			l, a, b := linked(seed, "latency", model)
			again, _, _ := linked(seed, "latency", model)
			a.num, b.num = rapid.Uint32().Draw(t, "a"), rapid.Uint32().Draw(t, "b")
			a.region = uint8(rapid.IntRange(0, len(regionNames)-1).Draw(t, "region of a"))
			b.region = uint8(rapid.IntRange(0, len(regionNames)-1).Draw(t, "region of b"))
			rtt := l.rtt(a, b)
			require.Positive(t, rtt)
			require.Equal(t, rtt, l.rtt(b, a))
			require.Equal(t, rtt, again.rtt(a, b))
		})
	}
}

// rtts are the round-trip times, in seconds, between n nodes of region a and n other nodes
// of region b.
func rtts(l *links, n, a, b int) []float64 {
	var out []float64
	for i := range n {
		for j := range n {
			from := &node{num: uint32(i), region: uint8(a)}
			to := &node{num: uint32(n + j), region: uint8(b)}
			out = append(out, l.rtt(from, to).Seconds())
		}
	}
	return out
}

func TestRoundTripsAreLogNormal(t *testing.T) {
	l, _, _ := linked(1)
	times := rtts(&l, 140, 0, 0)
	requireDrawn(t, times, logNormalCDF(medianRTT.Seconds(), sigmaRTT))
	other, _, _ := linked(2)
	require.NotEqual(t, times, rtts(&other, 140, 0, 0), "another seed, other links")
}

func logNormalCDF(median, sigma float64) func(float64) float64 {
	return func(x float64) float64 { return math.Erfc(-math.Log(x/median)/sigma/math.Sqrt2) / 2 }
}

// Between two regions the median is that of the matrix.
func TestRoundTripsOfRegions(t *testing.T) {
	l, _, _ := linked(1, "latency", LatencyRegions)
	for a := range regionNames {
		require.Len(t, regionRTT[a], len(regionNames))
		for b := range a + 1 {
			require.Equal(t, regionRTT[a][b], regionRTT[b][a], "%s and %s", regionNames[a], regionNames[b])
			require.LessOrEqual(t, regionRTT[b][b], regionRTT[a][b], "a region is nearest to itself")
			requireDrawn(t, rtts(&l, 85, a, b), logNormalCDF(float64(regionRTT[a][b])/1000, sigmaRegion))
		}
	}
}

func TestRegionsHaveTheirShares(t *testing.T) {
	sum := 0
	for _, s := range regionShares {
		sum += s
	}
	require.Equal(t, 100, sum)
	l, _, _ := linked(1)
	rng := rand.New(rand.NewPCG(5, 5))
	const n = 50_000
	var got [len(regionNames)]int
	for range n {
		got[l.region(rng)]++
	}
	for r, share := range regionShares {
		require.InDelta(t, float64(share)/100, float64(got[r])/n, 0.01, regionNames[r])
	}
}

// One message, as TCP and QUIC would send it: half a round trip plus a timeout for each
// loss, twice the previous one and always below a minute.
func TestTransitAgainstASender(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, _, _ := linked(1)
		l.loss = rapid.Float64Range(0, 0.99).Draw(t, "loss")
		rtt := time.Duration(rapid.Int64Range(1, int64(2*time.Second)).Draw(t, "rtt"))
		seed := rapid.Uint64().Draw(t, "seed")
		chance := rand.New(rand.NewPCG(seed, 0))
		want := rtt / 2
		timeout := rtt + rtt/2
		for l.loss > 0 && chance.Float64() < l.loss && timeout < time.Minute {
			want += timeout
			timeout *= 2
		}
		got := l.transit(rand.New(rand.NewPCG(seed, 0)), rtt)
		require.InDelta(t, want, got, 1+float64(want)/1e6, "rounding errors double too")
	})
}

// The mean over many messages is that of the geometric series.
func TestTransitMean(t *testing.T) {
	const rtt = 100 * time.Millisecond
	for _, loss := range []float64{0, 0.01, 0.1, 0.3} {
		l, _, _ := linked(1)
		l.loss = loss
		mean := 0.0
		const n = 200_000
		for _, s := range draw(n, func(rng *rand.Rand) time.Duration { return l.transit(rng, rtt) }) {
			mean += s / n
		}
		want := rtt.Seconds() * (0.5 + 1.5*loss/(1-2*loss))
		require.InEpsilon(t, want, mean, 0.02, "loss %v", loss)
	}
}

func TestWithoutLossNoChanceIsSpent(t *testing.T) {
	l, _, _ := linked(1)
	a, b := rand.New(rand.NewPCG(1, 1)), rand.New(rand.NewPCG(1, 1))
	require.Equal(t, 40*time.Millisecond, l.transit(a, 80*time.Millisecond))
	require.Equal(t, b.Uint64(), a.Uint64())
}

// mix is one step of splitmix64 without its increment. The expected values are the output
// of its authors' program, started at 0.
func TestMixIsSplitmix64(t *testing.T) {
	state := uint64(0)
	for _, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f, 0xf88bb8a8724c81ec} {
		state += 0x9e3779b97f4a7c15
		require.Equal(t, want, mix(state))
	}
}

// Connections against a map: a node forgets a connection only when another takes its slot
// or when one of the two nodes restarts.
func TestConnectionsAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := make([]*node, rapid.IntRange(2, 12).Draw(t, "nodes"))
		for i := range nodes {
			nodes[i] = &node{num: uint32(i * 37), life: 1, conns: new([connSlots]conn)}
		}
		drawPair := func(t *rapid.T) (a, b *node) {
			pair := rapid.Permutation(nodes).Draw(t, "pair")
			return pair[0], pair[1]
		}
		type pair struct{ low, high uint32 }
		of := func(a, b *node) pair { return pair{min(a.num, b.num), max(a.num, b.num)} }
		want := map[pair]*conn{} // the slot of each
		t.Repeat(map[string]func(*rapid.T){
			"connect": func(t *rapid.T) {
				a, b := drawPair(t)
				at, _ := connection(a, b)
				for p, other := range want {
					if other == at {
						delete(want, p)
					}
				}
				connect(a, b)
				want[of(a, b)] = at
			},
			"restart": func(t *rapid.T) {
				a, _ := drawPair(t)
				a.life++
				a.conns = new([connSlots]conn)
				for p := range want {
					if p.low == a.num || p.high == a.num {
						delete(want, p)
					}
				}
			},
			"": func(t *rapid.T) {
				for i, a := range nodes {
					for _, b := range nodes[:i] {
						require.Equal(t, want[of(a, b)] != nil, connected(a, b), "%d and %d", a.num, b.num)
						require.Equal(t, connected(a, b), connected(b, a))
					}
				}
			},
		})
	})
}

// Half of a node's connections are stored at each end, and a node keeps some of both
// halves.
func TestANodeKeepsSome64Connections(t *testing.T) {
	nodes := make([]*node, 1000)
	for i := range nodes {
		nodes[i] = &node{num: uint32(i), life: 1, conns: new([connSlots]conn)}
	}
	for i, a := range nodes {
		for _, b := range nodes[:i] {
			connect(a, b)
		}
	}
	var kept []int
	for _, a := range nodes {
		n := 0
		for _, b := range nodes {
			if a != b && connected(a, b) {
				n++
			}
		}
		kept = append(kept, n)
	}
	sum := 0
	for _, n := range kept {
		sum += n
	}
	require.Equal(t, 2*connSlots*len(nodes), sum, "each slot of each node is one connection of two")
	require.GreaterOrEqual(t, slices.Min(kept), connSlots, "those in its own slots")
}
