package storage

import (
	"context"
	"time"

	ds "github.com/ipfs/go-datastore"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// PutWithTTL implements datastore.TTL: the key expires ttl from now. With a TTL of zero or
// less, the key is deleted.
func (d *Datastore) PutWithTTL(ctx context.Context, key ds.Key, value []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return d.Delete(ctx, key)
	}
	return d.write(ctx, key, dsOp{value: value, expires: nanos(d.now().Add(ttl))})
}

// SetTTL implements datastore.TTL: it restarts the lifetime of an existing value. It returns
// datastore.ErrNotFound if there is none.
func (d *Datastore) SetTTL(ctx context.Context, key ds.Key, ttl time.Duration) error {
	now := d.now()
	k := []byte(key.String())
	return d.commit(ctx, "datastore_ttl", func(x *txn) error {
		t, err := openDatastoreTx(x.tx)
		if err != nil {
			return err
		}
		r, err := t.get(k)
		if err != nil {
			return err
		}
		if r == nil || !r.live(now) {
			return records.ErrNotFound
		}
		o := dsOp{remove: ttl <= 0, value: clone(r.value), expires: nanos(now.Add(ttl))}
		return x.dsWrite([]keyedOp{{k, o}})
	})
}

// GetExpiration implements datastore.TTL. The zero time means that the key does not expire.
func (d *Datastore) GetExpiration(ctx context.Context, key ds.Key) (expires time.Time, err error) {
	err = d.read(ctx, key, func(r *dsRow) { expires = fromNanos(r.expires) })
	return expires, err
}
