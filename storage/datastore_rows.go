package storage

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	ds "github.com/ipfs/go-datastore"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// The first write of a Datastore creates its buckets: files without a datastore have none.
var (
	bucketDatastore       = []byte("ds")  // key -> version, expires, value
	bucketDatastoreExpiry = []byte("dsx") // expires | key -> nothing
)

// dsTx gives access to the datastore in one transaction.
type dsTx struct {
	rows   *bbolt.Bucket // nil: nothing was ever written
	expiry *bbolt.Bucket
}

func openDatastoreTx(tx *bbolt.Tx) (t dsTx, err error) {
	t.rows, t.expiry = tx.Bucket(bucketDatastore), tx.Bucket(bucketDatastoreExpiry)
	if (t.rows == nil) != (t.expiry == nil) {
		return t, fmt.Errorf("%w: one of the buckets %s and %s is missing", ErrCorrupt, bucketDatastore, bucketDatastoreExpiry)
	}
	return t, nil
}

// create creates the buckets if they do not exist.
func (t *dsTx) create(tx *bbolt.Tx) (err error) {
	if t.rows != nil {
		return nil
	}
	if t.rows, err = tx.CreateBucket(bucketDatastore); err != nil {
		return err
	}
	t.expiry, err = tx.CreateBucket(bucketDatastoreExpiry)
	return err
}

// version returns a number that increases with every change of the datastore.
func (t *dsTx) version() uint64 {
	if t.rows == nil {
		return 0
	}
	return t.rows.Sequence()
}

// dsRow is a stored row. Its value is valid as long as the transaction.
type dsRow struct {
	version uint64 // of the datastore after the change that wrote it
	expires int64  // nanoseconds, see nanos; 0: never
	value   []byte
}

// live reports whether the row has not expired at now.
func (r *dsRow) live(now time.Time) bool { return r.expires == 0 || nanos(now) < r.expires }

func (r *dsRow) encode(key []byte) []byte {
	row := disk.NewRow(8 + 8 + len(r.value))
	row = binary.BigEndian.AppendUint64(row, r.version)
	row = binary.BigEndian.AppendUint64(row, uint64(r.expires))
	return disk.Seal(bucketDatastore, key, append(row, r.value...))
}

func decodeDatastoreRow(key, row []byte) (*dsRow, error) {
	payload, err := disk.Unseal(bucketDatastore, key, row)
	if err != nil {
		return nil, err
	}
	d := disk.Decoder{B: payload}
	r := &dsRow{version: d.Uint(8), expires: int64(d.Uint(8))}
	r.value = d.Bytes(len(d.B))
	return r, d.End(bucketDatastore)
}

// get returns the row of a key, live or expired, or nil if there is none.
func (t *dsTx) get(key []byte) (*dsRow, error) {
	if t.rows == nil || len(key) == 0 {
		return nil, nil
	}
	row := t.rows.Get(key)
	if row == nil {
		return nil, nil
	}
	return decodeDatastoreRow(key, row)
}

// put writes a row, and replaces an existing one.
func (t *dsTx) put(key []byte, r dsRow) error {
	if err := t.remove(key); err != nil {
		return err
	}
	if r.expires != 0 {
		if err := t.expiry.Put(expiryKey(fromNanos(r.expires), key), nil); err != nil {
			return err
		}
	}
	return t.rows.Put(key, r.encode(key))
}

// remove removes a row, if it exists, and its index entry. The index entry of a damaged row
// is unknown; CollectGarbage removes it later.
func (t *dsTx) remove(key []byte) error {
	row := t.rows.Get(key)
	if row == nil {
		return nil
	}
	if r, err := decodeDatastoreRow(key, row); err == nil && r.expires != 0 {
		if err := t.expiry.Delete(expiryKey(fromNanos(r.expires), key)); err != nil {
			return err
		}
	}
	return t.rows.Delete(key)
}

// dsOp is a change of one row.
type dsOp struct {
	remove  bool
	value   []byte
	expires int64 // nanoseconds; 0: never
}

// dsWrites are the changes of one transaction: the last change of each key.
type dsWrites struct {
	ops  map[string]dsOp
	size int // see MaxDatastoreBatch
}

// add adds a copy of a change.
func (w *dsWrites) add(key ds.Key, o dsOp) error {
	k := key.String()
	switch {
	case k == "" && o.remove:
		return nil
	case k == "":
		return fmt.Errorf("datastore: %w: no key", records.ErrInvalid)
	case len(k) > MaxDatastoreKey || len(o.value) > MaxDatastoreValue:
		return fmt.Errorf("datastore: %w: key of %d bytes, value of %d", records.ErrTooLarge, len(k), len(o.value))
	case w.size+dsOpCost+len(k)+len(o.value) > MaxDatastoreBatch:
		return fmt.Errorf("datastore: %w: over %d bytes in one transaction", records.ErrTooLarge, MaxDatastoreBatch)
	}
	if w.ops == nil {
		w.ops = make(map[string]dsOp)
	}
	if old, ok := w.ops[k]; ok {
		w.size -= dsOpCost + len(k) + len(old.value)
	}
	o.value = clone(o.value)
	w.ops[k] = o
	w.size += dsOpCost + len(k) + len(o.value)
	return nil
}

// keyedOp is a change with its key.
type keyedOp struct {
	key []byte
	dsOp
}

// list returns the changes in key order, in which bbolt writes them fastest.
func (w *dsWrites) list() []keyedOp {
	out := make([]keyedOp, 0, len(w.ops))
	for k, o := range w.ops {
		out = append(out, keyedOp{[]byte(k), o})
	}
	slices.SortFunc(out, func(a, b keyedOp) int { return slices.Compare(a.key, b.key) })
	return out
}

// dsWrite makes all changes, or none if the file is full.
func (x *txn) dsWrite(ops []keyedOp) error {
	t, err := openDatastoreTx(x.tx)
	if err != nil {
		return err
	}
	isNew := func(o keyedOp) bool { return !o.remove && (t.rows == nil || t.rows.Get(o.key) == nil) }
	if x.full && slices.ContainsFunc(ops, isNew) {
		return ErrFull
	}
	if err := t.create(x.tx); err != nil {
		return err
	}
	version, err := t.rows.NextSequence()
	if err != nil {
		return err
	}
	for _, o := range ops {
		if o.remove {
			err = t.remove(o.key)
		} else {
			err = t.put(o.key, dsRow{version: version, expires: o.expires, value: o.value})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dsCollect removes at most n rows that expired at limit or before.
func (x *txn) dsCollect(limit time.Time, n int) error {
	t, err := openDatastoreTx(x.tx)
	if err != nil || t.rows == nil {
		return err
	}
	due, _ := dueValues(t.expiry, limit, n)
	for _, k := range due {
		if err := t.expiry.Delete(k); err != nil {
			return err
		}
		r, err := t.get(k[8:])
		if err != nil || r == nil || expiryKeyOf(r, k[8:]) != string(k) {
			continue // a stale entry
		}
		if err := t.rows.Delete(k[8:]); err != nil {
			return err
		}
	}
	_, err = t.rows.NextSequence()
	return err
}

func expiryKeyOf(r *dsRow, key []byte) string { return string(expiryKey(fromNanos(r.expires), key)) }

// checkDatastore checks the datastore of a file (see checkContents).
func checkDatastore(tx *bbolt.Tx, _ *counters, m *disk.Meter, problem func(string, ...any)) error {
	t, err := openDatastoreTx(tx)
	if err != nil {
		return err
	}
	for from := []byte{}; from != nil; {
		if from = t.checkRows(from, dsStep, problem); from != nil {
			m.Add(dsStep)
		}
	}
	for from := []byte{}; from != nil; {
		if from = t.checkIndex(from, dsStep, problem); from != nil {
			m.Add(dsStep)
		}
	}
	return nil
}

// checkRows checks at most n rows, starting at the key from. It returns the key at which to
// continue, or nil at the end.
func (t *dsTx) checkRows(from []byte, n int, problem func(string, ...any)) []byte {
	if t.rows == nil {
		return nil
	}
	c := t.rows.Cursor()
	k, v := c.Seek(from)
	for ; k != nil && n > 0; k, v = c.Next() {
		n--
		switch r, err := decodeDatastoreRow(k, v); {
		case err != nil:
			problem("datastore key %q: %v", k, err)
		case r.version > t.version():
			problem("datastore key %q has version %d of %d", k, r.version, t.version())
		case r.expires != 0 && t.expiry.Get([]byte(expiryKeyOf(r, k))) == nil:
			problem("datastore key %q is missing in the expiry index", k)
		}
	}
	return cloneKey(k)
}

// checkIndex does the same for the expiry index.
func (t *dsTx) checkIndex(from []byte, n int, problem func(string, ...any)) []byte {
	if t.expiry == nil {
		return nil
	}
	c := t.expiry.Cursor()
	k, _ := c.Seek(from)
	for ; k != nil && n > 0; k, _ = c.Next() {
		n--
		if len(k) <= 8 {
			problem("datastore index entry %x is malformed", k)
			continue
		}
		// checkRows reports damaged rows.
		if r, err := t.get(k[8:]); err == nil && (r == nil || expiryKeyOf(r, k[8:]) != string(k)) {
			problem("datastore index entry %x has no row", k)
		}
	}
	return cloneKey(k)
}

// cloneKey copies a key that belongs to a transaction. nil stays nil.
func cloneKey(k []byte) []byte {
	if k == nil {
		return nil
	}
	return clone(k)
}
