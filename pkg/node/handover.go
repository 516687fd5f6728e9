package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/republish"
)

// Bounds of work on many keys.
const (
	// handOverStep is how many keys the loop takes in one call, about a millisecond, so
	// that requests do not wait.
	handOverStep = 1024
	// removeWorkers is how many records are removed concurrently: they share a commit.
	removeWorkers = 256
)

// HandedOver counts the keys of a ProvideMany call.
type HandedOver struct {
	New   int // not provided before
	Known int // already provided, or given twice
}

// ProvideMany provides many keys, each as ProvideKey does. It returns once they are
// durable; the schedule publishes them in the background, starting at once. Known keys
// keep their due time, except those never published so far, which become due now, so a
// call can be repeated. After ErrKeyLength or an error of ctx the call has provided no new
// key. After an error of the store some may be provided: they are scheduled like the others,
// and New counts them. After ErrClosed all keys are provided from the next start on.
func (n *Node) ProvideMany(ctx context.Context, keys [][]byte) (h HandedOver, err error) {
	pubs, items, err := n.unprovided(keys)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return HandedOver{}, err
	}
	h.Known = len(keys) - len(pubs)
	if err = n.cfg.Keystore.Publish(pubs...); err != nil {
		pubs = n.stored(pubs)
	}
	h.New = len(pubs)
	for i := range pubs {
		items = append(items, republishItem(uint8(records.KindProvider), pubs[i].Key))
	}
	n.unannounced.add(items...)
	closed := n.steps(items, func(now time.Time, m *dht.Machine, it republish.Item) {
		if !m.Schedule().Active(it) { // otherwise it is being published
			m.Scheduled(now, it, now, false)
		}
	})
	return h, cmp.Or(err, closed)
}

// stored returns those of pubs that the keystore has: some, after an error of Publish.
func (n *Node) stored(pubs []records.Published) (out []records.Published) {
	for _, p := range pubs {
		if _, err := n.cfg.Keystore.Load(p.Kind, p.Key); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// unprovided returns the keys that are not provided yet, without duplicates, and the items
// of the known keys that were never published.
func (n *Node) unprovided(keys [][]byte) (pubs []records.Published, waiting []republish.Item, err error) {
	now := time.Now()
	seen := make(map[republish.Item]bool, len(keys))
	for _, key := range keys {
		if err := checkProviderKey(key); err != nil {
			return nil, nil, err
		}
		it := republishItem(uint8(records.KindProvider), key)
		if seen[it] {
			continue
		}
		seen[it] = true
		known, err := n.cfg.Keystore.Load(records.KindProvider, key)
		switch {
		case errors.Is(err, records.ErrNotFound):
			pubs = append(pubs, records.Published{Kind: records.KindProvider, Key: key, Added: now, Due: now})
		case err != nil:
			return nil, nil, fmt.Errorf("provide: %w", err)
		case known.Last.IsZero():
			waiting = append(waiting, it)
		}
	}
	return pubs, waiting, nil
}

// UnprovideMany is UnprovideKey for many keys. It returns how many of them were provided
// here. After an error of the store it may be called again with the same keys: it then
// counts those whose records were still here.
func (n *Node) UnprovideMany(_ context.Context, keys [][]byte) (removed int, err error) {
	keys = slices.CompactFunc(slices.SortedFunc(slices.Values(keys), bytes.Compare), bytes.Equal)
	published, err := n.arePublished(keys)
	if err != nil {
		return 0, err
	}
	if removed, err = n.cfg.Keystore.UnpublishAll(records.KindProvider, keys); err != nil {
		return removed, err
	}
	items := make([]republish.Item, len(keys))
	for i, key := range keys {
		items[i] = republishItem(uint8(records.KindProvider), key)
	}
	n.unannounced.forget(items...)
	err = n.steps(items, func(_ time.Time, m *dht.Machine, it republish.Item) { m.Unscheduled(it) })
	if err != nil {
		return removed, err
	}
	return n.forgetMany(keys, published)
}

// arePublished reports for each provider key whether it is published.
func (n *Node) arePublished(keys [][]byte) ([]bool, error) {
	published := make([]bool, len(keys))
	for i, key := range keys {
		_, err := n.cfg.Keystore.Load(records.KindProvider, key)
		if err != nil && !errors.Is(err, records.ErrNotFound) {
			return nil, fmt.Errorf("unprovide: %w", err)
		}
		published[i] = err == nil
	}
	return published, nil
}

// forgetMany removes our own provider records. It tries all of them and returns the first
// error. It counts the keys that had a record or were published.
func (n *Node) forgetMany(keys [][]byte, published []bool) (provided int, err error) {
	var count atomic.Int64
	var g errgroup.Group
	g.SetLimit(removeWorkers)
	for i, key := range keys {
		g.Go(func() error {
			err := n.forgetProvided(key)
			if published[i] || err == nil {
				count.Add(1)
			}
			if errors.Is(err, records.ErrNotFound) { // not published yet, or expired
				return nil
			}
			return err
		})
	}
	err = g.Wait()
	return int(count.Load()), err
}

// steps has the loop call do with each item, handOverStep items in one call of the loop.
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

// unannounced holds the published keys whose first publication has not succeeded yet, and
// counts publications. Safe for concurrent use.
type unannounced struct {
	mu           sync.Mutex
	keys         map[republish.Item]bool // true: a publication has failed since the start
	tried        int                     // keys with true
	done, failed uint64                  // publications since the start
}

func (u *unannounced) add(items ...republish.Item) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.keys == nil {
		u.keys = make(map[republish.Item]bool)
	}
	for _, it := range items {
		if _, known := u.keys[it]; !known { // a repeated call does not forget a failure
			u.keys[it] = false
		}
	}
}

func (u *unannounced) forget(items ...republish.Item) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, it := range items {
		u.remove(it)
	}
}

// remove removes a key. The caller holds mu.
func (u *unannounced) remove(it republish.Item) {
	if u.keys[it] {
		u.tried--
	}
	delete(u.keys, it)
}

// ended records the end of a publication.
func (u *unannounced) ended(it republish.Item, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !ok {
		u.failed++
		if tried, known := u.keys[it]; known && !tried {
			u.keys[it] = true
			u.tried++
		}
		return
	}
	u.done++
	u.remove(it)
}

// describe fills the fields of a status.
func (u *unannounced) describe(s *RepublishStatus) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s.Unannounced, s.UnannouncedFailed = len(u.keys), u.tried
	s.Done, s.Failed = u.done, u.failed
}
