package main

import (
	"context"
	"errors"
	"time"

	ds "github.com/ipfs/go-datastore"
	dsq "github.com/ipfs/go-datastore/query"
	leveldb "github.com/ipfs/go-ds-leveldb"

	"github.com/holdfast-dht/holdfast/internal/workload"
	"github.com/holdfast-dht/holdfast/storage"
)

// dsStore is go-libp2p-kad-dht's layout on any go-datastore.
type dsStore struct {
	d ds.Batching
	*pending
}

var _ workload.Store = (*dsStore)(nil)

func newDSStore(d ds.Batching) workload.Store {
	s := &dsStore{d: d}
	s.pending = newPending(s.put)
	return s
}

func openLevelDB(dir string) (workload.Store, error) {
	d, err := leveldb.NewDatastore(dir, nil)
	if err != nil {
		return nil, err
	}
	return newDSStore(d), nil
}

func openDatastore(dir string) (workload.Store, error) {
	d, err := storage.OpenDatastore(dir, storage.Options{})
	if err != nil {
		return nil, err
	}
	return newDSStore(d), nil
}

func (s *dsStore) put(rows []row) error {
	ctx := context.Background()
	b, err := s.d.Batch(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := b.Put(ctx, ds.RawKey(r.key), r.value); err != nil {
			return err
		}
	}
	return b.Commit(ctx)
}

func (s *dsStore) Add(now time.Time, batch []workload.ProviderRecord) error {
	ctx := context.Background()
	b, err := s.d.Batch(ctx)
	if err != nil {
		return err
	}
	for i := range batch {
		if err := b.Put(ctx, ds.RawKey(rowKey(&batch[i])), rowValue(now)); err != nil {
			return err
		}
	}
	return b.Commit(ctx)
}

func (s *dsStore) Put(now time.Time, a *workload.ProviderRecord) error {
	return s.d.Put(context.Background(), ds.RawKey(rowKey(a)), rowValue(now))
}

func (s *dsStore) Queue(now time.Time, a *workload.ProviderRecord) error { return s.add(now, a) }

func (s *dsStore) Sync() error {
	return errors.Join(s.flush(), s.d.Sync(context.Background(), ds.RawKey("/")))
}

// each calls fn with the rows below a prefix.
func (s *dsStore) each(prefix string, fn func(e dsq.Entry) error) error {
	q, err := s.d.Query(context.Background(), dsq.Query{Prefix: prefix})
	if err != nil {
		return err
	}
	defer q.Close()
	for {
		r, ok := q.NextSync()
		if !ok {
			return nil
		}
		if r.Error != nil {
			return r.Error
		}
		if err := fn(r.Entry); err != nil {
			return err
		}
	}
}

func (s *dsStore) Lookup(now time.Time, key []byte) (n int, err error) {
	err = s.each(keyPrefix(key), func(e dsq.Entry) error {
		ok, err := live(e.Key, e.Value, now)
		if ok {
			n++
		}
		return err
	})
	return n, err
}

// Expire reads every row, as the provider manager does once an hour.
func (s *dsStore) Expire(now time.Time) (removed int64, err error) {
	ctx := context.Background()
	var b ds.Batch
	n := 0
	commit := func() (err error) {
		if n > 0 {
			err = b.Commit(ctx)
			removed, n = removed+int64(n), 0
		}
		return err
	}
	err = s.each(providersPrefix, func(e dsq.Entry) (err error) {
		gone, err := expired(e.Value, now)
		if err != nil || !gone {
			return err
		}
		if n == 0 {
			if b, err = s.d.Batch(ctx); err != nil {
				return err
			}
		}
		if err := b.Delete(ctx, ds.RawKey(e.Key)); err != nil {
			return err
		}
		if n++; n < collectBatch {
			return nil
		}
		return commit()
	})
	return removed, errors.Join(err, commit())
}

func (s *dsStore) Close() error { return errors.Join(s.close(), s.d.Close()) }
