package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/republish"
)

// Bounds of work on many keys.
const (
	// handOverStep is how many keys the loop takes at a time: a millisecond of its
	// time, so that requests do not wait.
	handOverStep = 1024
	// removeWorkers is how many records are removed at once: they share a commit.
	removeWorkers = 256
)

// HandedOver says what became of keys that were handed over.
type HandedOver struct {
	New   int // not provided here before
	Known int // provided here already
}

// ProvideLater makes keys durable and leaves their announcement to the schedule,
// which begins at once. Known keys keep their schedule, but those that are not
// announced yet are due now. So it may be called again with the same keys.
func (n *Node) ProvideLater(ctx context.Context, keys [][]byte) (h HandedOver, err error) {
	now := time.Now()
	pubs := make([]records.Published, 0, len(keys))
	items := make([]republish.Item, 0, len(keys)) // those to announce
	for _, key := range keys {
		if len(key) == 0 || len(key) > records.MaxKeyLen {
			return HandedOver{}, ErrKeyLength
		}
		it := republishItem(uint8(records.KindProvider), key)
		known, err := n.cfg.Keystore.Load(records.KindProvider, key)
		switch {
		case errors.Is(err, records.ErrNotFound):
			pubs = append(pubs, records.Published{Kind: records.KindProvider, Key: key, Added: now, Due: now})
			items = append(items, it)
		case err != nil:
			return HandedOver{}, fmt.Errorf("node: provide: %w", err)
		case known.Last.IsZero():
			items = append(items, it)
		}
	}
	if err := ctx.Err(); err != nil {
		return HandedOver{}, err
	}
	if err := n.cfg.Keystore.Publish(pubs...); err != nil {
		return HandedOver{}, fmt.Errorf("node: provide: %w", err)
	}
	n.untold.add(items...)
	err = n.steps(items, func(now time.Time, m *dht.Machine, it republish.Item) {
		if !m.Schedule().Active(it) { // else it is being announced
			m.Scheduled(now, it, now, false)
		}
	})
	return HandedOver{New: len(pubs), Known: len(keys) - len(pubs)}, err
}

// UnprovideAll stops announcing keys and returns how many of them were provided
// here. Records at other peers live until they expire.
func (n *Node) UnprovideAll(_ context.Context, keys [][]byte) (removed int, err error) {
	removed, err = n.cfg.Keystore.UnpublishAll(records.KindProvider, keys)
	if err != nil {
		return removed, fmt.Errorf("node: unprovide: %w", err)
	}
	items := make([]republish.Item, len(keys))
	for i, key := range keys {
		items[i] = republishItem(uint8(records.KindProvider), key)
	}
	n.untold.forget(items...)
	if err := n.steps(items, func(_ time.Time, m *dht.Machine, it republish.Item) { m.Unscheduled(it) }); err != nil {
		return removed, err
	}
	now := time.Now()
	each(removeWorkers, keys, func(key []byte) {
		_ = n.cfg.Store.RemoveProvider(now, key, n.self.ID) // not there if it was not announced yet, or has expired
	})
	return removed, nil
}

// steps has the loop do something with each item, a few at a time.
func (n *Node) steps(items []republish.Item, do func(now time.Time, m *dht.Machine, it republish.Item)) error {
	for len(items) > 0 {
		step := items[:min(len(items), handOverStep)]
		items = items[len(step):]
		err := n.ask(func(now time.Time, m *dht.Machine) {
			for _, it := range step {
				do(now, m, it)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// untold holds the published keys of which no publication has succeeded yet, and
// counts the publications. It is as large as what waits to be announced. Safe for
// concurrent use.
type untold struct {
	mu           sync.Mutex
	keys         map[republish.Item]struct{}
	done, failed uint64 // publications since the start
}

func (u *untold) add(items ...republish.Item) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.keys == nil {
		u.keys = make(map[republish.Item]struct{})
	}
	for _, it := range items {
		u.keys[it] = struct{}{}
	}
}

func (u *untold) forget(items ...republish.Item) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, it := range items {
		delete(u.keys, it)
	}
}

// ended takes the end of a publication.
func (u *untold) ended(it republish.Item, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !ok {
		u.failed++
		return
	}
	u.done++
	delete(u.keys, it)
}

// counts returns how many keys no peer has been told of, and the publications since
// the start that succeeded and failed.
func (u *untold) counts() (keys int, done, failed uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.keys), u.done, u.failed
}
