package main

import (
	"bytes"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/holdfast-dht/holdfast/internal/workload"
)

const (
	pebbleCache    = 128 << 20
	pebbleMemTable = 32 << 20
	bloomBits      = 10 // per key: one false positive in a hundred
)

// pebbleStore is go-libp2p-kad-dht's layout on Pebble.
type pebbleStore struct {
	db *pebble.DB
	*pending
}

var _ workload.Store = (*pebbleStore)(nil)

// comparer orders keys by bytes. The bloom filters use the part of a key before the peer
// ID, because lookups search for that part.
func comparer() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "holdfast.bench.providers"
	c.Split = splitRow
	c.ComparePointSuffixes, c.CompareRangeSuffixes = bytes.Compare, bytes.Compare
	return &c
}

func splitRow(key []byte) int {
	if i := bytes.LastIndexByte(key, '/'); i >= len(providersPrefix) {
		return i + 1
	}
	return len(key)
}

func openPebble(dir string) (workload.Store, error) {
	cache := pebble.NewCache(pebbleCache)
	defer cache.Unref()
	o := &pebble.Options{
		Cache: cache, MemTableSize: pebbleMemTable, Comparer: comparer(), Logger: silent{},
		FormatMajorVersion:         pebble.FormatNewest,
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, err
	}
	s := &pebbleStore{db: db}
	s.pending = newPending(s.put)
	return s, nil
}

// silent is a logger that drops everything except fatal errors.
type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, _ ...any) { panic(format) }

func (s *pebbleStore) put(rows []row) error {
	b := s.db.NewBatch()
	defer b.Close()
	for _, r := range rows {
		if err := b.Set([]byte(r.key), r.value, nil); err != nil {
			return err
		}
	}
	return b.Commit(pebble.Sync)
}

func (s *pebbleStore) Add(now time.Time, batch []workload.ProviderRecord) error {
	b := s.db.NewBatch()
	defer b.Close()
	value := rowValue(now)
	for i := range batch {
		if err := b.Set([]byte(rowKey(&batch[i])), value, nil); err != nil {
			return err
		}
	}
	return b.Commit(pebble.Sync)
}

func (s *pebbleStore) Put(now time.Time, a *workload.ProviderRecord) error {
	return s.db.Set([]byte(rowKey(a)), rowValue(now), pebble.Sync)
}

func (s *pebbleStore) Queue(now time.Time, a *workload.ProviderRecord) error { return s.add(now, a) }

func (s *pebbleStore) Sync() error { return s.flush() }

func (s *pebbleStore) Lookup(now time.Time, key []byte) (n int, err error) {
	prefix := []byte(keyPrefix(key))
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return 0, err
	}
	for ok := it.SeekPrefixGE(prefix); ok && err == nil; ok = it.Next() {
		var found bool
		if found, err = live(string(it.Key()), it.Value(), now); found {
			n++
		}
	}
	return n, errors.Join(err, it.Error(), it.Close())
}

// after returns the first key that does not begin with a prefix.
func after(prefix []byte) []byte {
	out := bytes.Clone(prefix)
	out[len(out)-1]++ // a slash
	return out
}

// Expire looks at every row, as the provider manager does once an hour.
func (s *pebbleStore) Expire(now time.Time) (removed int64, err error) {
	prefix := []byte(providersPrefix)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return 0, err
	}
	b := s.db.NewBatch()
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		gone, rowErr := expired(it.Value(), now)
		if err = rowErr; err != nil || !gone {
			continue
		}
		removed++
		if err = b.Delete(it.Key(), nil); err == nil && b.Count() >= collectBatch {
			err = errors.Join(b.Commit(pebble.Sync), b.Close())
			b = s.db.NewBatch()
		}
	}
	if err == nil {
		err = b.Commit(pebble.Sync)
	}
	return removed, errors.Join(err, b.Close(), it.Error(), it.Close())
}

func (s *pebbleStore) Close() error { return errors.Join(s.close(), s.db.Close()) }
