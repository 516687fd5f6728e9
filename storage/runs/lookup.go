package runs

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

var gathers = sync.Pool{New: func() any { return new(gather) }}

// Providers appends at most n live providers of key to dst. If there are more, it selects a
// random subset in random order.
func (s *Store) Providers(dst []records.Provider, now time.Time, key []byte, n int) ([]records.Provider, error) {
	if n <= 0 || len(key) == 0 {
		return dst, nil
	}
	if s.closed.Load() {
		return dst, fmt.Errorf("providers: %w", records.ErrClosed)
	}
	k := recordKeyOf(key)
	g := gathers.Get().(*gather)
	defer gathers.Put(g)
	if err := s.lookup(g, &k, seconds(now)); err != nil {
		return dst, s.failed("providers", err)
	}
	live := g.live(seconds(now))
	if len(live) > n {
		s.opts.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
		live = live[:n]
	}
	return s.resolve(dst, now, live)
}

// failed reports a read error to the observer and wraps it with the operation.
func (s *Store) failed(op string, err error) error {
	if errors.Is(err, records.ErrClosed) {
		return fmt.Errorf("%s: %w", op, err)
	}
	s.report(op, err)
	return fmt.Errorf("%s: %w", op, err)
}

// lookup collects the records of a key that readers see. It skips runs in which no record is
// live at now.
func (s *Store) lookup(g *gather, key *recordKey, now uint32) error {
	hash := s.seed.hash(key)
	return s.retry(func(v *view) error {
		g.reset()
		for _, t := range v.tables {
			for i := t.first(hash); i != 0; {
				e := &t.entries[i-1]
				if e.key == *key {
					if expires := e.seen(); expires != unborn {
						g.settle(e.number, t.alive(expires))
					}
				}
				i = e.next
			}
		}
		return s.scan(v, key, hash, now, g.offer)
	})
}

// retry calls fn with views until no run of the view is missing.
func (s *Store) retry(fn func(v *view) error) error {
	for {
		v := s.view.Load()
		if err := s.missing(v, fn(v)); !errors.Is(err, errGone) {
			return err
		}
		if s.closed.Load() {
			return records.ErrClosed
		}
		runtime.Gosched() // the new view is about to be published
	}
}

// missing turns errGone into ErrCorrupt if v should still have all its runs, because then the
// file has lost one. A run leaves the view before it leaves the file, except at the end of a
// merge, which sets ending meanwhile.
func (s *Store) missing(v *view, err error) error {
	if !errors.Is(err, errGone) || s.ending.Load() || s.view.Load() != v {
		return err
	}
	return lost(err)
}

// scan calls fn for a key's copies in the runs of a view in which some record is live at now.
// It opens a transaction only if a filter does not exclude the key.
func (s *Store) scan(v *view, key *recordKey, hash uint64, now uint32, fn func(number, expires uint32)) error {
	i := nextRun(v.runs, 0, key, hash, now)
	if i == len(v.runs) {
		return nil
	}
	return s.runs.View(func(tx *bbolt.Tx) error {
		for ; i < len(v.runs); i = nextRun(v.runs, i+1, key, hash, now) {
			if err := v.runs[i].each(tx, key, fn); err != nil {
				return err
			}
		}
		return nil
	})
}

// nextRun returns the index of the first run, starting at i, that may contain a key and in
// which some record is live at now.
func nextRun(runs []*run, i int, key *recordKey, hash uint64, now uint32) int {
	for ; i < len(runs); i++ {
		if r := runs[i]; r.newest > now && r.maybe(key, hash) {
			break
		}
	}
	return i
}

// resolve appends the providers of the found records.
func (s *Store) resolve(dst []records.Provider, now time.Time, live []found) ([]records.Provider, error) {
	given := len(dst)
	for _, f := range live {
		row, err := s.providerRows.load(f.number)
		switch {
		case errors.Is(err, records.ErrClosed):
			return dst[:given], s.failed("providers", err)
		case err != nil:
			s.report("providers", err) // the other providers are still useful
			continue
		}
		dst = append(dst, row.record(now, f.expires))
	}
	return dst, nil
}

// known reports whether the store has a live record of key and id.
func (s *Store) known(now uint32, key *recordKey, id kad.PeerID) bool {
	var expires uint32
	hash := s.seed.hash(key)
	err := s.retry(func(v *view) error {
		number, err := s.numberOf(id)
		if err != nil || number == 0 {
			return err
		}
		var known bool
		if expires, known = v.seen(hash, key, number); known {
			return nil
		}
		expires, err = s.newestCopy(v, hash, key, number)
		return err
	})
	return err == nil && live(now, expires)
}

// newestCopy returns the latest expiry of a record in the runs of a view.
func (s *Store) newestCopy(v *view, hash uint64, key *recordKey, number uint32) (expires uint32, err error) {
	i := nextRun(v.runs, 0, key, hash, removed)
	if i == len(v.runs) {
		return removed, nil
	}
	err = s.runs.View(func(tx *bbolt.Tx) error {
		expires, _, err = newestIn(tx, v.runs, i, key, hash, number)
		return err
	})
	return expires, err
}

// newestIn returns the latest expiry of a record's copies in runs[i:], where runs[i] may
// contain the key, and an upper bound on the copies of the key's records. A later epoch has a
// later expiry, so the first epoch that contains a copy decides.
func newestIn(tx *bbolt.Tx, runs []*run, i int, key *recordKey, hash uint64, number uint32) (expires uint32, copies int64, err error) {
	for ; i < len(runs); i = nextRun(runs, i+1, key, hash, removed) {
		if expires != removed && runs[i].epoch.epoch < epochOf(expires) {
			return expires, many, nil
		}
		e, n, err := runs[i].expiry(tx, key, number)
		if err != nil {
			return 0, 0, err
		}
		expires, copies = max(expires, e), copies+n
	}
	return expires, copies, nil
}
