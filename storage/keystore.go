package storage

import (
	"bytes"
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// publishChunk bounds the keys of one transaction: each may dirty a page.
const publishChunk = maxBatch

// rangeChunk is how many published keys are read per transaction. No transaction is open
// between two chunks, so that a slow reader does not pin pages.
const rangeChunk = 256

// publishedKeyLen is the length of a row key in the keystore.
const publishedKeyLen = kad.KeyBits/8 + 1

// publishedKey returns the row key: Kademlia key, then kind.
func publishedKey(kind records.Kind, key []byte) []byte {
	k := kad.KeyOf(key)
	return append(k[:], byte(kind))
}

func encodePublished(rowKey []byte, p *records.Published) []byte {
	row := disk.NewRow(5*8 + 2 + len(p.Key) + len(p.Value))
	row = binary.BigEndian.AppendUint64(row, uint64(p.TTL))
	row = appendTime(row, p.Until)
	row = appendTime(row, p.Added)
	row = appendTime(row, p.Last)
	row = appendTime(row, p.Due)
	row = binary.BigEndian.AppendUint16(row, uint16(len(p.Key)))
	row = append(row, p.Key...)
	row = append(row, p.Value...)
	return disk.Seal(bucketKeystore, rowKey, row)
}

// decodePublished returns a published key that does not alias row.
func decodePublished(rowKey, row []byte) (records.Published, error) {
	payload, err := disk.Unseal(bucketKeystore, rowKey, row)
	if err != nil {
		return records.Published{}, err
	}
	d := disk.Decoder{B: payload}
	p := records.Published{
		Kind:  records.Kind(rowKey[len(rowKey)-1]),
		TTL:   time.Duration(d.Uint(8)),
		Until: timeOf(&d), Added: timeOf(&d), Last: timeOf(&d), Due: timeOf(&d),
	}
	p.Key = clone(d.Bytes(int(d.Uint(2))))
	if len(d.B) > 0 {
		p.Value = clone(d.Bytes(len(d.B)))
	}
	d.Bad = d.Bad || p.Kind >= records.NumKinds
	return p, d.End(bucketKeystore)
}

// Publish implements records.Keystore. Every publishChunk keys are one transaction. After an
// error, the keys of the earlier transactions are stored.
func (db *DB) Publish(ps ...records.Published) error {
	for i := range ps {
		if err := records.ValidatePublished(&ps[i], db.opts.MaxValueSize); err != nil {
			return err
		}
	}
	for len(ps) > 0 {
		n := min(len(ps), publishChunk)
		chunk := ps[:n]
		ps = ps[n:]
		if err := db.do("publish", ownLimit, func(x *txn) error { return x.publish(chunk) }); err != nil {
			return err
		}
	}
	return nil
}

func (x *txn) publish(ps []records.Published) error {
	rows, err := disk.BucketOf(x.tx, bucketKeystore)
	if err != nil {
		return err
	}
	for i := range ps {
		k := publishedKey(ps[i].Kind, ps[i].Key)
		if rows.Get(k) == nil {
			x.counters.Published[ps[i].Kind]++
		}
		if err := rows.Put(k, encodePublished(k, &ps[i])); err != nil {
			return err
		}
	}
	return nil
}

// Unpublish implements records.Keystore.
func (db *DB) Unpublish(kind records.Kind, key []byte) error {
	removed, err := db.UnpublishAll(kind, [][]byte{key})
	if err == nil && removed == 0 {
		err = records.ErrNotFound
	}
	return err
}

// UnpublishAll implements records.Keystore. It uses transactions of the same size as Publish.
func (db *DB) UnpublishAll(kind records.Kind, keys [][]byte) (removed int, err error) {
	if kind >= records.NumKinds {
		return 0, nil
	}
	for len(keys) > 0 {
		chunk := keys[:min(len(keys), publishChunk)]
		keys = keys[len(chunk):]
		var n int
		if err := db.do("unpublish", ownLimit, func(x *txn) (err error) { n, err = x.unpublish(kind, chunk); return err }); err != nil {
			return removed, err
		}
		removed += n
	}
	return removed, nil
}

func (x *txn) unpublish(kind records.Kind, keys [][]byte) (removed int, err error) {
	rows, err := disk.BucketOf(x.tx, bucketKeystore)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		k := publishedKey(kind, key)
		if rows.Get(k) == nil {
			continue
		}
		if err := rows.Delete(k); err != nil {
			return 0, err
		}
		x.counters.Published[kind]--
		removed++
	}
	return removed, nil
}

// Load implements records.Keystore.
func (db *DB) Load(kind records.Kind, key []byte) (p records.Published, err error) {
	err = db.view("load", func(tx *bbolt.Tx) error {
		rows, err := disk.BucketOf(tx, bucketKeystore)
		if err != nil {
			return err
		}
		k := publishedKey(kind, key)
		row := rows.Get(k)
		if row == nil {
			return records.ErrNotFound
		}
		p, err = decodePublished(k, row)
		return err
	})
	return p, err
}

// Done implements records.Keystore.
func (db *DB) Done(kind records.Kind, key []byte, last, due time.Time) error {
	return db.do("done", ownLimit, func(x *txn) error {
		rows, err := disk.BucketOf(x.tx, bucketKeystore)
		if err != nil {
			return err
		}
		k := publishedKey(kind, key)
		row := rows.Get(k)
		if row == nil {
			return nil
		}
		p, err := decodePublished(k, row)
		if err != nil {
			return err
		}
		if !last.IsZero() {
			p.Last = last
		}
		p.Due = due
		return rows.Put(k, encodePublished(k, &p))
	})
}

// Range implements records.Keystore. It reads in chunks: a key that is published or removed
// meanwhile may or may not be seen. A damaged row is reported and skipped.
func (db *DB) Range(region kad.Prefix, fn func(records.Published) bool) error {
	first := region.First()
	for next := first[:]; next != nil; {
		chunk, after, err := db.rangeStep(region, next)
		if err != nil {
			return err
		}
		for _, p := range chunk {
			if !fn(p) {
				return nil
			}
		}
		next = after
	}
	return nil
}

// rangeStep reads a chunk of published keys of region, starting at the row key next. after is
// where the next chunk begins; nil: this was the last one.
func (db *DB) rangeStep(region kad.Prefix, next []byte) (chunk []records.Published, after []byte, err error) {
	last := region.Last()
	err = db.view("range", func(tx *bbolt.Tx) error {
		rows, err := disk.BucketOf(tx, bucketKeystore)
		if err != nil {
			return err
		}
		c := rows.Cursor()
		seen := 0
		for k, row := c.Seek(next); len(k) == len(last)+1 && bytes.Compare(k[:len(last)], last[:]) <= 0; k, row = c.Next() {
			if seen++; seen > rangeChunk {
				after = clone(k)
				return nil
			}
			p, err := decodePublished(k, row)
			if err != nil {
				_ = db.report("range", err)
				continue
			}
			chunk = append(chunk, p)
		}
		return nil
	})
	return chunk, after, err
}
