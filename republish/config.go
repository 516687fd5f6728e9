package republish

import (
	"cmp"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Kind distinguishes the records of one key, as records.Kind does.
type Kind = uint8

// Item is one published record.
type Item struct {
	Key  kad.Key
	Kind Kind
}

func compareItems(a, b *Item) int {
	if c := kad.Compare(&a.Key, &b.Key); c != 0 {
		return c
	}
	return cmp.Compare(a.Kind, b.Kind)
}

// Interval is the time from one publication to the next, as in go-libp2p-kad-dht. It
// leaves room for two publications within a TTL of 48 h.
const Interval = 22 * time.Hour

// Config tunes a schedule. Zero or negative fields mean the default.
type Config struct {
	// Interval is the time from one publication to the next: Interval.
	Interval time.Duration
	// RetryMin is the pause after a failure: 1 min. It doubles with each further
	// failure, up to RetryMax: 1 h, more than twenty tries between Interval and TTL.
	RetryMin, RetryMax time.Duration
	// MaxActive is how many keys are published at once: 8, so that republishing
	// leaves capacity for the queries of users.
	MaxActive int
	// Spread is the time over which keys that are overdue after a restart are spread,
	// the longest overdue first: 10 min.
	Spread time.Duration
}

func (c Config) withDefaults() Config {
	c.Interval = orDefault(c.Interval, Interval)
	c.RetryMin = orDefault(c.RetryMin, retryMin)
	c.RetryMax = max(orDefault(c.RetryMax, retryMax), c.RetryMin)
	c.MaxActive = orDefault(c.MaxActive, 8)
	c.Spread = orDefault(c.Spread, 10*time.Minute)
	return c
}

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}
