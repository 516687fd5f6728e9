package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	ds "github.com/ipfs/go-datastore"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// Bounds of a Datastore. What exceeds them is refused with records.ErrTooLarge.
const (
	// MaxDatastoreKey bounds a key in bytes: keys also stand in the tree's inner
	// pages, which are 4 KiB.
	MaxDatastoreKey = 4096
	// MaxDatastoreValue bounds a value in bytes: twice the largest IPFS block.
	MaxDatastoreValue = 4 << 20
	// MaxDatastoreBatch bounds the keys and values of a Batch or a transaction in
	// bytes, dsOpCost for each change included: bbolt holds all of it in the heap
	// until the commit, and other writers wait.
	MaxDatastoreBatch = 64 << 20

	// dsOpCost is what a change may cost beside its key and value: its share of the
	// pages it touches, up to two where keys are scattered over a large tree. It
	// bounds a transaction to 64,000 changes.
	dsOpCost = 1024
	// dsStep bounds the rows that one transaction of CollectGarbage, Check or Query
	// goes through.
	dsStep = 1024
)

var (
	_ ds.Batching            = (*Datastore)(nil)
	_ ds.TTLDatastore        = (*Datastore)(nil)
	_ ds.PersistentDatastore = (*Datastore)(nil)
	_ ds.TxnDatastore        = (*Datastore)(nil)
	_ ds.CheckedDatastore    = (*Datastore)(nil)
	_ ds.GCDatastore         = (*Datastore)(nil)
)

// Datastore is a go-datastore in buckets of its own of a DB's file, for small
// things: 10^5 rows, not 10^7. Safe for concurrent use.
//
// What it promises beyond the interfaces: Put, Delete and Commit are durable on
// return, so that Sync has nothing to do, and share their fsyncs with whatever
// else is being written. A Batch is one transaction: all of it or nothing. A row
// with a TTL is invisible from the very instant of its expiry, also to a Query
// that began before; CollectGarbage frees its space (records.ExpireGrace later, see
// there). Expiry is absolute and survives a restart.
//
// What it does not: a Query outside of a transaction is no snapshot. It walks in
// slices, each in a short read transaction, because a long one would keep freed
// pages from being used again; each row is whole, but rows changed meanwhile may be
// seen before or after the change. A context ends a call before it has begun to
// write, not afterwards. There is no Scrub: a damaged file is repaired as a whole,
// see Repair.
//
// The daemon keeps in it what is neither a record nor a key nor a snapshot: the
// history of its own starts, which `holdfast status` shows.
type Datastore struct {
	db  *DB
	own bool             // Close closes db
	now func() time.Time // tests put their clock here
}

// Datastore returns the go-datastore of the file. Its Close does nothing: the file
// is db's.
func (db *DB) Datastore() *Datastore { return &Datastore{db: db, now: time.Now} }

// OpenDatastore opens a Datastore in a directory of its own, which is made if it
// does not exist, and takes that for this process; see Open. Close closes it.
func OpenDatastore(dir string, o Options) (*Datastore, error) {
	db, err := Open(dir, o)
	if err != nil {
		return nil, err
	}
	return &Datastore{db: db, own: true, now: time.Now}, nil
}

// Close closes the file if OpenDatastore has opened it.
func (d *Datastore) Close() error {
	if !d.own {
		return nil
	}
	return d.db.Close()
}

// Sync does nothing: what has returned is durable.
func (d *Datastore) Sync(ctx context.Context, _ ds.Key) error { return ctx.Err() }

// Get implements datastore.Read.
func (d *Datastore) Get(ctx context.Context, key ds.Key) (value []byte, err error) {
	err = d.read(ctx, key, func(r *dsRow) { value = clone(r.value) })
	return value, err
}

// Has implements datastore.Read.
func (d *Datastore) Has(ctx context.Context, key ds.Key) (bool, error) {
	err := d.read(ctx, key, func(*dsRow) {})
	if errors.Is(err, ds.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// GetSize implements datastore.Read.
func (d *Datastore) GetSize(ctx context.Context, key ds.Key) (size int, err error) {
	size = -1
	err = d.read(ctx, key, func(r *dsRow) { size = len(r.value) })
	return size, err
}

// read calls fn with the live row of a key, which is valid only meanwhile, or
// returns datastore.ErrNotFound.
func (d *Datastore) read(ctx context.Context, key ds.Key, fn func(*dsRow)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := d.db.view("datastore_get", func(tx *bbolt.Tx) error {
		t, err := openDatastoreTx(tx)
		if err != nil {
			return err
		}
		r, err := t.get([]byte(key.String()))
		if err != nil {
			return err
		}
		if r == nil || !r.live(d.now()) {
			return records.ErrNotFound
		}
		fn(r)
		return nil
	})
	if errors.Is(err, records.ErrNotFound) {
		return ds.ErrNotFound
	}
	return err
}

// Put implements datastore.Write.
func (d *Datastore) Put(ctx context.Context, key ds.Key, value []byte) error {
	return d.write(ctx, key, dsOp{value: value})
}

// Delete implements datastore.Write.
func (d *Datastore) Delete(ctx context.Context, key ds.Key) error {
	return d.write(ctx, key, dsOp{remove: true})
}

// write makes one change durable.
func (d *Datastore) write(ctx context.Context, key ds.Key, o dsOp) error {
	var w dsWrites
	if err := w.add(key, o); err != nil {
		return err
	}
	return d.commit(ctx, "datastore_put", func(x *txn) error { return x.dsWrite(w.list()) })
}

// commit has the committer make a change, unless the context has ended.
func (d *Datastore) commit(ctx context.Context, op string, apply func(*txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := d.db.do(op, 2*d.db.opts.MaxPending, apply)
	if errors.Is(err, records.ErrNotFound) {
		return ds.ErrNotFound
	}
	return err
}

// DiskUsage implements datastore.PersistentFeature: the length of the file, with
// all that is in it. Free pages count; they will be used again.
func (d *Datastore) DiskUsage(context.Context) (uint64, error) {
	s, err := d.db.Sizes()
	return uint64(s.File), err
}

// CollectGarbage implements datastore.GCFeature: it removes the rows that expired
// records.ExpireGrace ago or earlier, a thousand to a transaction. Rows that have
// expired since are kept, unseen, lest a clock that jumps forward and back kills
// what lives.
func (d *Datastore) CollectGarbage(ctx context.Context) error {
	limit := d.now().Add(-records.ExpireGrace)
	for {
		due, err := d.due(limit)
		if err != nil || !due {
			return err
		}
		if err := d.commit(ctx, "datastore_gc", func(x *txn) error { return x.dsCollect(limit, dsStep) }); err != nil {
			return err
		}
	}
}

// due reports whether anything expired at limit or before. It costs no commit.
func (d *Datastore) due(limit time.Time) (due bool, err error) {
	err = d.db.view("datastore_gc", func(tx *bbolt.Tx) error {
		t, err := openDatastoreTx(tx)
		if err == nil && t.rows != nil {
			keys, _ := dueValues(t.expiry, limit, 1)
			due = len(keys) > 0
		}
		return err
	})
	return due, err
}

// Check implements datastore.CheckedFeature: every row is whole and the index of
// expiries complete. Writers go on meanwhile. DB.Check checks the file as well.
func (d *Datastore) Check(ctx context.Context) error {
	var errs []error
	problem := func(format string, args ...any) {
		if len(errs) < maxProblems {
			errs = append(errs, fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...)))
		}
	}
	for _, check := range []func(*dsTx, []byte, int, func(string, ...any)) []byte{(*dsTx).checkRows, (*dsTx).checkIndex} {
		for from := []byte{}; from != nil; {
			if err := ctx.Err(); err != nil {
				return errors.Join(append(errs, err)...)
			}
			err := d.db.view("datastore_check", func(tx *bbolt.Tx) error {
				t, err := openDatastoreTx(tx)
				if err == nil {
					from = check(&t, from, dsStep, problem)
				}
				return err
			})
			if err != nil {
				return errors.Join(append(errs, err)...)
			}
		}
	}
	return errors.Join(errs...)
}
