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

// Bounds of a Datastore. Anything larger is refused with records.ErrTooLarge.
const (
	// MaxDatastoreKey bounds a key in bytes: keys are also stored in the inner pages of the
	// tree, which have 4 KiB.
	MaxDatastoreKey = 4096
	// MaxDatastoreValue bounds a value in bytes: twice the largest IPFS block.
	MaxDatastoreValue = 4 << 20
	// MaxDatastoreBatch bounds the keys and values of a Batch or a transaction in bytes, plus
	// dsOpCost per change: bbolt holds all of them in the heap until the commit, and other
	// writers wait.
	MaxDatastoreBatch = 64 << 20

	// dsOpCost is the cost of a change in addition to its key and value: its share of the
	// pages it touches, up to two if the keys are scattered over a large tree. It bounds a
	// transaction to 64,000 changes.
	dsOpCost = 1024
	// dsStep bounds the rows that CollectGarbage and Check process per transaction.
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

// Datastore is a go-datastore in separate buckets of a DB's file. It is meant for small data:
// 10^5 rows, not 10^7. Safe for concurrent use.
//
// What it guarantees beyond the interfaces: Put, Delete and Commit are durable when they
// return, so Sync has nothing to do. They share their fsyncs with all other writes. A Batch
// is one transaction: all or nothing. A row with a TTL is invisible from the instant at which
// it expires, also to a Query that began earlier. CollectGarbage frees its space
// records.ExpireGrace later. Expiry is absolute and survives a restart.
//
// What it does not: a Query outside a transaction is not a snapshot. It reads in slices, each
// in a short read transaction, because a long transaction would keep bbolt from reusing freed
// pages. Each row is consistent, but a row that changes meanwhile may be seen before or after
// the change. A context can cancel a call before it starts to write, but not afterwards.
// There is no Scrub: a damaged file is repaired as a whole (see Repair).
//
// The daemon stores its start history there, which `holdfast status` shows.
type Datastore struct {
	db  *DB
	own bool             // Close also closes db
	now func() time.Time // tests replace the clock
}

// Datastore returns the go-datastore of the file. Closing it does nothing: db owns the file.
func (db *DB) Datastore() *Datastore { return &Datastore{db: db, now: time.Now} }

// OpenDatastore opens a Datastore in a directory of its own, which it creates if needed and
// locks for this process (see Open). Close closes it.
func OpenDatastore(dir string, o Options) (*Datastore, error) {
	db, err := Open(dir, o)
	if err != nil {
		return nil, err
	}
	return &Datastore{db: db, own: true, now: time.Now}, nil
}

// Close closes the file if OpenDatastore opened it.
func (d *Datastore) Close() error {
	if !d.own {
		return nil
	}
	return d.db.Close()
}

// Sync does nothing: completed writes are already durable.
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

// read calls fn with the live row of a key, or returns datastore.ErrNotFound. The row is
// valid only during fn.
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

// commit passes a change to the committer, unless the context has ended.
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

// DiskUsage implements datastore.PersistentFeature. It returns the combined length of the
// store's files, with all their contents and including free pages, which are reused.
func (d *Datastore) DiskUsage(context.Context) (uint64, error) {
	s, err := d.db.Sizes()
	return uint64(s.File), err
}

// CollectGarbage implements datastore.GCFeature: it removes the rows that expired at least
// records.ExpireGrace ago, dsStep per transaction. Rows that expired more recently stay in
// the file, invisible, so that a clock that jumps forward and back does not delete live rows.
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

// due reports whether any row expired at limit or before. It needs no commit.
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

// Check implements datastore.CheckedFeature: it checks that every row is intact and that the
// expiry index is complete. Writes continue meanwhile. DB.Check also checks the file itself.
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
