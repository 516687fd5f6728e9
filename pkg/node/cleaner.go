package node

import (
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// cleaner saves snapshots and removes expired records. Its slots are safe for concurrent
// use.
type cleaner struct {
	worker
	n *Node

	mu      sync.Mutex
	toSave  *records.Snapshot
	final   chan<- error // receives the result of the last snapshot; nil: toSave is not the last
	expiry  bool
	saved   time.Time // last successful snapshot
	expired time.Time // last successful expiry
}

func newCleaner(n *Node) *cleaner {
	c := &cleaner{worker: newWorker(), n: n}
	go c.run(c.clean)
	return c
}

// expire makes the cleaner remove expired records.
func (c *cleaner) expire() { c.leave(&c.mu, func() { c.expiry = true }) }

// snapshot makes the cleaner save s.
func (c *cleaner) snapshot(s records.Snapshot) { c.leave(&c.mu, func() { c.toSave = &s }) }

// finalSnapshot makes the cleaner save s and send the result to done.
func (c *cleaner) finalSnapshot(s records.Snapshot, done chan<- error) {
	c.leave(&c.mu, func() { c.toSave, c.final = &s, done })
}

func (c *cleaner) clean() {
	c.mu.Lock()
	save, final, expiry := c.toSave, c.final, c.expiry
	c.toSave, c.final, c.expiry = nil, nil, false
	c.mu.Unlock()
	if save != nil {
		err := c.save(*save)
		if final != nil {
			final <- err
		}
	}
	if expiry {
		c.removeExpired()
	}
}

func (c *cleaner) save(s records.Snapshot) error {
	start := time.Now()
	err := c.n.cfg.Snapshots.SaveSnapshot(s)
	c.n.cfg.Housekeeping.Snapshot(time.Since(start), len(s.Peers), err)
	if err != nil {
		c.n.log.Error("snapshot could not be saved", "err", err)
		return err
	}
	c.mu.Lock()
	c.saved = start
	c.mu.Unlock()
	return nil
}

// removeExpired removes expired records in steps. If the node closes it stops after the
// current step.
func (c *cleaner) removeExpired() {
	start := time.Now()
	var total records.Expired
	for {
		step, err := c.n.cfg.Store.Expire(time.Now())
		for kind := range total.Records {
			total.Records[kind] += step.Records[kind]
		}
		if err != nil {
			c.n.cfg.Housekeeping.Expired(time.Since(start), total, err)
			c.n.log.Error("expired records could not be removed", "err", err)
			return
		}
		if !step.More || c.hurry() {
			break
		}
	}
	c.n.cfg.Housekeeping.Expired(time.Since(start), total, nil)
	c.mu.Lock()
	c.expired = start
	c.mu.Unlock()
}

// hurry reports whether the node is closing: the remaining records are removed after the
// next start.
func (c *cleaner) hurry() bool {
	c.mu.Lock()
	final := c.final != nil
	c.mu.Unlock()
	return final || c.closing()
}

// last returns when a snapshot and expiry last succeeded.
func (c *cleaner) last() (saved, expired time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.saved, c.expired
}
