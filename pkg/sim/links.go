package sim

import (
	"math/rand/v2"
	"time"
)

// Latency and dialling.
const (
	// medianRTT and sigmaRTT describe the round-trip times between nodes of a
	// public network: log-normal.
	medianRTT = 80 * time.Millisecond
	sigmaRTT  = 0.6
	// sigmaRegion is the spread among pairs of the same two regions.
	sigmaRegion = 0.2
	// dialTimeout is how long a dial of a dead peer takes to fail (libp2p: 5 s).
	dialTimeout = 5 * time.Second
	// connSlots is half of the connections that a node keeps, because each is stored at
	// one of its ends. A node keeps about 64, which lies between kubo's low water mark of
	// 32 and high water mark of 96.
	connSlots = 32
)

// Regions and the median round-trip times between them, in milliseconds: rounded from the
// figures that cloud providers publish for their regions. shares is nodes per hundred,
// roughly as crawls of the public network place them.
var (
	regionNames  = [...]string{"north-america", "europe", "east-asia", "south-asia", "south-america"}
	regionShares = [...]int{38, 36, 16, 6, 4}
	regionRTT    = [len(regionNames)][len(regionNames)]int{
		{40, 100, 150, 220, 130},
		{100, 30, 230, 140, 200},
		{150, 230, 50, 100, 290},
		{220, 140, 100, 50, 310},
		{130, 200, 290, 310, 40},
	}
)

// links computes how long messages take. The round-trip time of a pair of nodes is
// computed from their numbers and never changes.
type links struct {
	seed    uint64
	loss    float64
	regions bool
	spread  quantiles // of a round-trip time; with regions, around a median of 1 s
}

func newLinks(o *Options) links {
	l := links{seed: mix(o.Seed + 1), loss: o.Loss, regions: o.Latency == LatencyRegions}
	if l.regions {
		l.spread = logNormal(time.Second, sigmaRegion)
	} else {
		l.spread = logNormal(medianRTT, sigmaRTT)
	}
	return l
}

// region draws the region of a node.
func (l *links) region(rng *rand.Rand) uint8 {
	at := rng.IntN(100)
	for r, share := range regionShares {
		if at -= share; at < 0 {
			return uint8(r)
		}
	}
	return 0
}

// rtt is the round-trip time between two nodes.
func (l *links) rtt(a, b *node) time.Duration {
	low, high := min(a.num, b.num), max(a.num, b.num)
	d := l.spread.at(mix(l.seed ^ uint64(low)<<32 ^ uint64(high)))
	if l.regions {
		d = d * time.Duration(regionRTT[a.region][b.region]) / 1000
	}
	return d
}

// transit is how long one message takes over a link: half a round trip, and a
// retransmission timeout for each loss, which doubles each time.
func (l *links) transit(rng *rand.Rand, rtt time.Duration) time.Duration {
	d := rtt / 2
	if l.loss == 0 {
		return d
	}
	for again := rtt * 3 / 2; rng.Float64() < l.loss && again < time.Minute; again *= 2 {
		d += again
	}
	return d
}

// mix spreads the bits of x over all 64 (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// conn is a connection of one life of a node to one life of another.
type conn struct{ life, peer, peerLife uint32 }

// connection returns the slot of a connection of two nodes, and the value to store there.
// Their numbers choose the node and the slot. Storing a connection replaces the one that
// had the slot.
func connection(a, b *node) (*conn, conn) {
	if (a.num^b.num)&1 == 0 != (a.num < b.num) {
		a, b = b, a
	}
	return &a.conns[b.num*2654435761>>27], conn{a.life, b.num, b.life}
}

// connected reports whether two live nodes have a connection.
func connected(a, b *node) bool {
	at, c := connection(a, b)
	return *at == c
}

// connect stores a connection of two live nodes.
func connect(a, b *node) {
	at, c := connection(a, b)
	*at = c
}
