package kbucket

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Config sizes a table. Zero or negative fields mean the default.
type Config struct {
	BucketSize          int // peers per bucket; kad.K
	Replacements        int // spare peers per full bucket; 10, half a bucket as in go-ethereum
	MaxPerGroup         int // peers of one group in the table; defaultMaxPerGroup
	MaxPerGroupInBucket int // peers of one group in a bucket, and in its replacement cache; defaultMaxPerGroupInBucket

	// Share returns the copy of a peer that the table points to from now on. The copy
	// must never change. Nil: the table makes its own copy. A simulator shares one
	// copy among all its tables.
	Share func(kad.Peer) *kad.Peer
}

func (c Config) withDefaults() Config {
	c.BucketSize = orDefault(c.BucketSize, kad.K)
	c.Replacements = orDefault(c.Replacements, 10)
	c.MaxPerGroup = orDefault(c.MaxPerGroup, defaultMaxPerGroup)
	c.MaxPerGroupInBucket = orDefault(c.MaxPerGroupInBucket, defaultMaxPerGroupInBucket)
	return c
}

func orDefault(v, def int) int {
	if v <= 0 {
		return def
	}
	return v
}

const (
	// probePatience is how long a probe may stay unanswered before the peer is due
	// again: six times the request timeout of 10 s.
	probePatience = time.Minute

	// backoffMin is the pause after a first failed probe. It doubles with each further
	// failure, maxDoublings times: 1, 2, 4 .. 64 minutes.
	backoffMin   = time.Minute
	maxDoublings = 6

	// maxRefreshCPL is the deepest bucket that is refreshed: a random key for a
	// deeper one costs more than 2^16 hashes (go-libp2p-kad-dht has the same
	// bound).
	maxRefreshCPL = 15
)
