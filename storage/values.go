package storage

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// valueTx gives access to the values in one transaction.
type valueTx struct {
	rows   *bbolt.Bucket // key -> sealed value
	expiry *bbolt.Bucket // expires | key -> charge
}

func openValues(tx *bbolt.Tx) (v valueTx, err error) {
	if v.rows, err = disk.BucketOf(tx, bucketValues); err != nil {
		return v, err
	}
	v.expiry, err = disk.BucketOf(tx, bucketValueExpiry)
	return v, err
}

// clone copies b. The result is never nil: an empty value is a value.
func clone(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }

func expiryKey(expires time.Time, key []byte) []byte {
	return append(appendTime(make([]byte, 0, 8+len(key)), expires), key...)
}

// valueBytes estimates the space that a value uses: two rows.
func valueBytes(key, row []byte) int64 { return int64(2*rowOverhead + 2*len(key) + 8 + len(row)) }

// Value implements records.Store.
func (db *DB) Value(now time.Time, key []byte) (v records.Value, err error) {
	if len(key) == 0 || len(key) > records.MaxValueKeyLen {
		return v, records.ErrNotFound
	}
	err = db.view("value", func(tx *bbolt.Tx) error {
		rows, err := disk.BucketOf(tx, bucketValues)
		if err != nil {
			return err
		}
		row := rows.Get(key)
		if row == nil {
			return records.ErrNotFound
		}
		v, err = decodeValue(key, row)
		return err
	})
	if err == nil && !v.Live(now) {
		err = records.ErrNotFound
	}
	if err != nil {
		return records.Value{}, err
	}
	return v, nil
}

// PutValue implements records.Store.
func (db *DB) PutValue(now time.Time, v records.Value, better records.Better) error {
	if err := records.ValidateValue(&v, db.opts.MaxValueSize); err != nil {
		return err
	}
	return db.do("put_value", 2*db.opts.MaxPending, func(x *txn) error {
		return x.putValue(now, v, better)
	})
}

func (x *txn) putValue(now time.Time, v records.Value, better records.Better) error {
	vt, err := openValues(x.tx)
	if err != nil {
		return err
	}
	old := vt.rows.Get(v.Key)
	if old == nil && x.full {
		return ErrFull
	}
	var stored *records.Value
	if old != nil {
		// A damaged row is ignored: the offered value replaces it.
		if o, err := decodeValue(v.Key, old); err == nil {
			stored = &o
		}
	}
	account := v.Account
	v, err = mergeValue(now, stored, v, better)
	if err != nil {
		return err
	}
	row := encodeValue(&v)
	c, err := x.charge(now, vt, stored, charge{account, valueBytes(v.Key, row)})
	if err != nil {
		return err
	}
	if err := x.dropValue(vt, v.Key, old); err != nil {
		return err
	}
	return x.writeValue(vt, &v, row, c)
}

// charge returns the account for which a value is counted that replaces stored (nil: none),
// or the error of the quota that refuses it.
func (x *txn) charge(now time.Time, vt valueTx, stored *records.Value, c charge) (charge, error) {
	offer := records.ValueOffer{Account: c.account, Bytes: c.bytes}
	if stored != nil {
		entry := expiryKey(stored.Expires, stored.Key)
		old := x.chargeOf(vt, entry)
		offer.Known, offer.Old, offer.OldBytes = stored.Live(now), old.account, old.bytes
	}
	var err error
	c.account, err = x.quotas.Charge(offer, x.held)
	return c, err
}

// writeValue writes a value and its encoded row. The key must not have a row.
func (x *txn) writeValue(vt valueTx, v *records.Value, row []byte, c charge) error {
	x.counters.Values++
	x.counters.ValueBytes += valueBytes(v.Key, row)
	entry := expiryKey(v.Expires, v.Key)
	x.count(c, 1)
	return disk.FirstErr(vt.rows.Put(v.Key, row), vt.expiry.Put(entry, c.encode(entry)))
}

// mergeValue calls records.MergeValue. A validator that panics refuses the value.
func mergeValue(now time.Time, old *records.Value, v records.Value, better records.Better) (out records.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: the validator panicked: %v", records.ErrInvalid, r)
		}
	}()
	return records.MergeValue(now, old, v, better)
}

// dropValue removes a value, its index entry and its share of the counters. If row is nil,
// there is nothing to remove.
func (x *txn) dropValue(vt valueTx, key, row []byte) error {
	if row == nil {
		return nil
	}
	x.counters.Values--
	x.counters.ValueBytes -= valueBytes(key, row)
	if v, err := decodeValue(key, row); err == nil {
		if err := x.dropEntry(vt, expiryKey(v.Expires, key)); err != nil {
			return err
		}
	}
	return vt.rows.Delete(key)
}

// chargeOf returns the charge of an entry of the expiry index. A damaged entry has no charge,
// and the next start rebuilds the accounts.
func (x *txn) chargeOf(vt valueTx, entry []byte) charge {
	c, err := decodeCharge(entry, vt.expiry.Get(entry))
	if err != nil {
		x.damage = err
		return charge{}
	}
	return c
}

// dropEntry removes an entry of the expiry index, if it exists, and its charge.
func (x *txn) dropEntry(vt valueTx, entry []byte) error {
	x.count(x.chargeOf(vt, entry), -1)
	return vt.expiry.Delete(entry)
}

// DeleteValue implements records.Store.
func (db *DB) DeleteValue(key []byte) error {
	if len(key) == 0 || len(key) > records.MaxValueKeyLen {
		return records.ErrNotFound
	}
	return db.do("delete_value", ownLimit, func(x *txn) error {
		vt, err := openValues(x.tx)
		if err != nil {
			return err
		}
		row := vt.rows.Get(key)
		if row == nil {
			return records.ErrNotFound
		}
		return x.dropValue(vt, key, row)
	})
}

// expireValues removes at most n values that expired at limit or before, and reports whether
// there are more.
func (x *txn) expireValues(limit time.Time, n int) (removed int64, more bool, err error) {
	vt, err := openValues(x.tx)
	if err != nil {
		return 0, false, err
	}
	due, more := dueValues(vt.expiry, limit, n)
	for _, k := range due {
		if err := x.dropEntry(vt, k); err != nil {
			return removed, more, err
		}
		key := k[8:]
		row := vt.rows.Get(key)
		if v, err := decodeValue(key, row); row == nil || err == nil && v.Expires.After(limit) {
			continue // a stale index entry
		}
		if err := x.dropValue(vt, key, row); err != nil {
			return removed, more, err
		}
		removed++
	}
	return removed, more, nil
}

// dueValues returns copies of the first n index entries up to limit, and reports whether
// there are more.
func dueValues(expiry *bbolt.Bucket, limit time.Time, n int) (due [][]byte, more bool) {
	c := expiry.Cursor()
	for k, _ := c.First(); len(k) > 8; k, _ = c.Next() {
		if fromNanos(int64(binary.BigEndian.Uint64(k))).After(limit) {
			break
		}
		if len(due) == n {
			return due, true
		}
		due = append(due, clone(k))
	}
	return due, false
}
