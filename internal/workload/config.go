package workload

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Config says how much work is done. The zero value of each field selects its default.
type Config struct {
	// Records is the number of records of the fill. Default: one million.
	Records int `json:"records"`
	// Batches are the batch sizes for which ingest is measured. Default: 100, 1,000 and
	// 10,000.
	Batches []int `json:"batches"`
	// Callers are the numbers of goroutines that each wait for their own records. Default: 1,
	// 64 and 1,024.
	Callers []int `json:"callers"`
	// Window is how long a rate or a latency is measured. Default: 3 s.
	Window time.Duration `json:"window"`
	// Days is the number of simulated days in which all records are republished every 22
	// hours. Default: 2, after which the sizes are steady. From 6 days on, the growth of the
	// files is reported too.
	Days int `json:"days"`
	// RemoveEvery is how often expired records are removed in those days. Default: one hour,
	// as in go-libp2p-kad-dht, which looks at every row each time. With ten million records,
	// a longer interval saves hours.
	RemoveEvery time.Duration `json:"remove_every"`
	// Steps are the steps to run (see Steps). Default: all.
	Steps []string `json:"steps"`
	// Seed is the seed of the records. Default: 1.
	Seed uint64 `json:"seed"`
}

const (
	// fillBatch is the batch size in steps that do not measure batches.
	fillBatch = 10_000
	// minRecords is the number of records with which every step has work.
	minRecords = 1000
	// pacedRate is the number of records per second on a busy public server.
	pacedRate = 2000
	// pacedTick is the interval of the paced writer.
	pacedTick = 10 * time.Millisecond
)

// steps are the steps in order. Each uses the store in the state in which the previous one
// left it.
var steps = []struct {
	name string
	run  func(*bench) ([]Figure, error)
}{
	{"fill", (*bench).fill},
	{"ingest", (*bench).ingest},
	{"refresh", (*bench).refresh},
	{"lookup", (*bench).lookupIdle},
	{"lookup-paced", (*bench).lookupPaced},
	{"lookup-flat", (*bench).lookupFlat},
	{"callers", (*bench).callers},
	{"paced", (*bench).paced},
	{"syncs", (*bench).syncs},
	{"expire", (*bench).expire},
	{"days", (*bench).days},
	{"reopen", nil}, // done by Compare, because it needs two processes
	{"kill", nil},
}

// Steps returns the names of the steps in order.
func Steps() (names []string) {
	for _, s := range steps {
		names = append(names, s.name)
	}
	return names
}

// Validate reports all violations together.
func (c Config) Validate() error {
	_, err := c.withDefaults()
	return err
}

// withDefaults returns a copy in which every field has a value, or all violations.
func (c Config) withDefaults() (Config, error) {
	c.Records = cmp.Or(c.Records, 1_000_000)
	if len(c.Batches) == 0 {
		c.Batches = []int{100, 1000, 10_000}
	}
	if len(c.Callers) == 0 {
		c.Callers = []int{1, 64, 1024}
	}
	c.Window = cmp.Or(c.Window, 3*time.Second)
	c.Days = cmp.Or(c.Days, 2)
	c.RemoveEvery = cmp.Or(c.RemoveEvery, time.Hour)
	if len(c.Steps) == 0 {
		c.Steps = Steps()
	}
	c.Seed = cmp.Or(c.Seed, 1)
	return c, c.validate()
}

func (c *Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Records < minRecords {
		bad("%d records are under %s", c.Records, thousands(minRecords))
	}
	for _, n := range c.Batches {
		if n < 1 || n > fillBatch {
			bad("a batch of %d is not within 1 and %d", n, fillBatch)
		}
	}
	for _, n := range c.Callers {
		if n < 1 || n > 1<<14 {
			bad("%d callers are not within 1 and %d", n, 1<<14)
		}
	}
	if c.Window < 0 || c.Days < 0 || c.RemoveEvery < 0 {
		bad("a negative time")
	}
	for _, s := range c.Steps {
		if !slices.Contains(Steps(), s) {
			bad("no step %q; there are %v", s, Steps())
		}
	}
	return errors.Join(errs...)
}
