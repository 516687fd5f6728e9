package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	ds "github.com/ipfs/go-datastore"
	dsq "github.com/ipfs/go-datastore/query"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// ErrConflict is returned by a Datastore transaction if another write has changed what the
// transaction read. Nothing was written; the caller may start again.
var ErrConflict = errors.New("transaction conflicts with another write")

// dsMaxReads bounds the keys that a transaction may read.
const dsMaxReads = 1 << 16

// dsBatch is a datastore.Batch. One goroutine owns it.
type dsBatch struct {
	d *Datastore
	dsWrites
}

// Batch implements datastore.BatchingFeature. Commit is one transaction. After a successful
// Commit, the batch is empty and may be reused.
func (d *Datastore) Batch(ctx context.Context) (ds.Batch, error) {
	return &dsBatch{d: d}, ctx.Err()
}

// Put implements datastore.Batch. It returns records.ErrTooLarge if the batch is full.
func (b *dsBatch) Put(_ context.Context, key ds.Key, value []byte) error {
	return b.add(key, dsOp{value: value})
}

// Delete implements datastore.Batch.
func (b *dsBatch) Delete(_ context.Context, key ds.Key) error {
	return b.add(key, dsOp{remove: true})
}

// Commit implements datastore.Batch.
func (b *dsBatch) Commit(ctx context.Context) error {
	if len(b.ops) == 0 {
		return ctx.Err()
	}
	ops := b.list()
	err := b.d.commit(ctx, "datastore_batch", func(x *txn) error { return x.dsWrite(ops) })
	if err == nil {
		b.dsWrites = dsWrites{}
	}
	return err
}

// dsTxn is a datastore.Txn. Safe for concurrent use.
//
// It does not hold a bbolt transaction, which would keep freed pages from being reused for as
// long as the caller keeps it open. Instead it records the version of each row it reads.
// Every read first verifies that the earlier reads still hold, so that all reads are as of
// one instant, and Commit verifies this once more inside the write: committed transactions
// are serializable. After a Query, any change of the datastore is a conflict.
type dsTxn struct {
	d        *Datastore
	readOnly bool

	mu      sync.Mutex
	writes  dsWrites
	reads   map[string]uint64 // key -> version of its row; 0: there was no row
	began   bool              // something has been read
	version uint64            // of the datastore at which all reads hold
	ranged  bool              // something has been queried
	ended   error             // why the transaction has ended
}

// NewTransaction implements datastore.TxnFeature. The transaction sees its own writes; others
// see them after Commit. An open transaction costs others nothing, and it does not have to be
// discarded. On ErrConflict the caller must start again.
func (d *Datastore) NewTransaction(ctx context.Context, readOnly bool) (ds.Txn, error) {
	return &dsTxn{d: d, readOnly: readOnly, reads: make(map[string]uint64)}, ctx.Err()
}

// Put implements datastore.Write. It returns ErrReadOnly in a read-only transaction.
func (t *dsTxn) Put(_ context.Context, key ds.Key, value []byte) error {
	return t.add(key, dsOp{value: value})
}

// Delete implements datastore.Write.
func (t *dsTxn) Delete(_ context.Context, key ds.Key) error {
	return t.add(key, dsOp{remove: true})
}

func (t *dsTxn) add(key ds.Key, o dsOp) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended != nil:
		return t.ended
	case t.readOnly:
		return ErrReadOnly
	}
	return t.writes.add(key, o)
}

// Get implements datastore.Read.
func (t *dsTxn) Get(ctx context.Context, key ds.Key) (value []byte, err error) {
	err = t.read(ctx, key, func(v []byte) { value = clone(v) })
	return value, err
}

// Has implements datastore.Read.
func (t *dsTxn) Has(ctx context.Context, key ds.Key) (bool, error) {
	err := t.read(ctx, key, func([]byte) {})
	if errors.Is(err, ds.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// GetSize implements datastore.Read.
func (t *dsTxn) GetSize(ctx context.Context, key ds.Key) (size int, err error) {
	size = -1
	err = t.read(ctx, key, func(v []byte) { size = len(v) })
	return size, err
}

// read calls fn with the value of a key.
func (t *dsTxn) read(ctx context.Context, key ds.Key, fn func(value []byte)) error {
	k := key.String()
	found := false
	err := t.look(ctx, func(tx *dsTx) error {
		if o, ok := t.writes.ops[k]; ok {
			if found = !o.remove; found {
				fn(o.value)
			}
			return nil
		}
		r, err := tx.get([]byte(k))
		if err != nil {
			return err
		}
		if err := t.remember(k, r); err != nil {
			return err
		}
		if found = r != nil && r.live(t.d.now()); found {
			fn(r.value)
		}
		return nil
	})
	if err == nil && !found {
		err = ds.ErrNotFound
	}
	return err
}

// remember records that a row was read.
func (t *dsTxn) remember(key string, r *dsRow) error {
	if _, ok := t.reads[key]; !ok && len(t.reads) == dsMaxReads {
		return fmt.Errorf("%w: %d keys read in one transaction", records.ErrTooLarge, dsMaxReads)
	}
	t.reads[key] = versionOf(r)
	return nil
}

func versionOf(r *dsRow) uint64 {
	if r == nil {
		return 0
	}
	return r.version
}

// look calls fn with the current state of the datastore, provided that all earlier reads
// still hold in it.
func (t *dsTxn) look(ctx context.Context, fn func(*dsTx) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.ended != nil {
		return t.ended
	}
	err := t.d.db.view("datastore_txn", func(tx *bbolt.Tx) error {
		d, err := openDatastoreTx(tx)
		if err != nil {
			return err
		}
		if err := t.holds(&d); err != nil {
			return err
		}
		t.began, t.version = true, d.version()
		return fn(&d)
	})
	if errors.Is(err, ErrConflict) {
		t.end(err)
	}
	return err
}

// holds returns ErrConflict if anything that was read has changed.
func (t *dsTxn) holds(d *dsTx) error {
	if !t.began || d.version() == t.version {
		return nil
	}
	if t.ranged {
		return ErrConflict
	}
	for k, version := range t.reads {
		r, err := d.get([]byte(k))
		if err != nil {
			return err
		}
		if versionOf(r) != version {
			return ErrConflict
		}
	}
	return nil
}

// Query implements datastore.Read. It reads all rows under the prefix at once into memory, as
// a snapshot.
func (t *dsTxn) Query(ctx context.Context, q dsq.Query) (dsq.Results, error) {
	p := planQuery(q)
	var entries []dsq.Entry
	err := t.look(ctx, func(d *dsTx) error {
		t.ranged = true
		stored, err := t.stored(d, &p)
		entries = t.overlay(stored, &p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.results(dsq.Iterator{Next: func() (r dsq.Result, ok bool) {
		if ok = len(entries) > 0; ok {
			r.Entry, entries = entries[0], entries[1:]
		}
		return r, ok
	}}), nil
}

// stored returns the live rows under the plan's prefix that the transaction has not changed.
func (t *dsTxn) stored(d *dsTx, p *dsPlan) (out []dsq.Entry, err error) {
	var rows []dsEntry
	now := t.d.now()
	for from := clone(p.prefix); from != nil; {
		if rows, from, err = p.slice(d, rows[:0], from, dsSlice); err != nil {
			return nil, err
		}
		for i := range rows {
			if _, changed := t.writes.ops[rows[i].Key]; !changed && rows[i].row.live(now) {
				out = append(out, rows[i].Entry)
			}
		}
	}
	return out, nil
}

// overlay adds the rows that the transaction has put, and sorts all by key.
func (t *dsTxn) overlay(entries []dsq.Entry, p *dsPlan) []dsq.Entry {
	for k, o := range t.writes.ops {
		if !o.remove && strings.HasPrefix(k, string(p.prefix)) {
			entries = append(entries, p.entry([]byte(k), &dsRow{value: o.value}).Entry)
		}
	}
	slices.SortFunc(entries, func(a, b dsq.Entry) int { return strings.Compare(a.Key, b.Key) })
	return entries
}

// Commit implements datastore.Txn. It returns ErrConflict if anything that was read has
// changed. After any error except ErrFailed, nothing was written. In every case the
// transaction has ended.
func (t *dsTxn) Commit(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil {
		return t.ended
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	defer t.end(fmt.Errorf("transaction has ended: %w", records.ErrClosed))
	if len(t.writes.ops) == 0 {
		return nil // each read has verified the earlier ones
	}
	ops := t.writes.list()
	return t.d.commit(ctx, "datastore_txn", func(x *txn) error {
		d, err := openDatastoreTx(x.tx)
		if err != nil {
			return err
		}
		if err := t.holds(&d); err != nil {
			return err
		}
		return x.dsWrite(ops)
	})
}

// Discard implements datastore.Txn.
func (t *dsTxn) Discard(context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(fmt.Errorf("transaction was discarded: %w", records.ErrClosed))
}

// end releases the memory of the transaction. Only the first reason is kept.
func (t *dsTxn) end(reason error) {
	if t.ended == nil {
		t.ended = reason
	}
	t.writes, t.reads = dsWrites{}, nil
}
