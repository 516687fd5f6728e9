package storage

import (
	"errors"
	"path/filepath"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// compact writes compact copies of all files under their staged names.
func compact(dir string, tell func(Progress), before, after *int64) error {
	for _, name := range dbFiles {
		path := filepath.Join(dir, name)
		rows, err := measureRows(path, wholeFile, true, tell)
		if err != nil {
			return err
		}
		size, err := fileSize(path)
		if err != nil {
			return err
		}
		*before += size
		pageSize := runs.PageSize
		if name == FileName {
			pageSize = 0 // the machine's
		}
		m := disk.NewMeter(tell, Progress{Step: "compacting " + name, Total: rows, Bytes: true})
		if err := disk.Guard(func() error { return compactTo(staged(dir, name), path, pageSize, m, tell) }); err != nil {
			return err
		}
		if size, err = fileSize(staged(dir, name)); err != nil {
			return err
		}
		*after += size
	}
	return nil
}

// compactTx bounds a transaction of Compact in bytes.
const compactTx = 8 << 20

func compactTo(dstPath, srcPath string, pageSize int, m *disk.Meter, tell func(Progress)) error {
	src, err := bbolt.Open(srcPath, 0o600, &bbolt.Options{ReadOnly: true, Timeout: DefaultLockTimeout})
	if err != nil {
		return err
	}
	defer src.Close()
	// Nothing relies on the copy before it is complete: one fsync at its end.
	o := &bbolt.Options{NoSync: true, FreelistType: bbolt.FreelistMapType, PageSize: pageSize}
	dst, err := bbolt.Open(dstPath, 0o600, o)
	if err != nil {
		return err
	}
	if err = src.View(func(tx *bbolt.Tx) error { return copyRows(dst, tx, m) }); err == nil {
		m.End()
		disk.NewMeter(tell, Progress{Step: "syncing " + filepath.Base(srcPath) + " to disk"})
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}

// rowCopy copies all buckets and rows of a file into an empty one, as bbolt.Compact
// does, which does not tell how far it is.
type rowCopy struct {
	dst   *bbolt.DB
	tx    *bbolt.Tx
	bytes int // written in tx
	meter *disk.Meter
}

func copyRows(dst *bbolt.DB, src *bbolt.Tx, m *disk.Meter) error {
	tx, err := dst.Begin(true)
	if err != nil {
		return err
	}
	c := rowCopy{dst: dst, tx: tx, meter: m}
	defer func() { _ = c.tx.Rollback() }() // after a commit it does nothing
	if err := c.bucket(root(src), nil); err != nil {
		return err
	}
	return c.tx.Commit()
}

// root is the bucket that holds all others.
func root(tx *bbolt.Tx) *bbolt.Bucket { return tx.Cursor().Bucket() }

// bucket copies what is in a bucket. The path has the names of the buckets that lead
// to it, in both files.
func (c *rowCopy) bucket(src *bbolt.Bucket, path [][]byte) error {
	return src.ForEach(func(key, value []byte) error {
		if err := c.makeRoom(len(key) + len(value)); err != nil {
			return err
		}
		dst := root(c.tx)
		for _, name := range path {
			dst = dst.Bucket(name)
		}
		dst.FillPercent = 1 // rows come in order
		if value != nil {
			c.meter.Add(int64(len(key) + len(value)))
			return dst.Put(key, value)
		}
		inner := src.Bucket(key)
		made, err := dst.CreateBucket(key)
		if err != nil {
			return err
		}
		if err := made.SetSequence(inner.Sequence()); err != nil {
			return err
		}
		return c.bucket(inner, append(slices.Clip(path), key))
	})
}

// makeRoom commits if the transaction has no room for a row of n bytes.
func (c *rowCopy) makeRoom(n int) error {
	c.bytes += n
	if c.bytes <= compactTx {
		return nil
	}
	if err := c.tx.Commit(); err != nil {
		return err
	}
	tx, err := c.dst.Begin(true)
	if err == nil {
		c.tx, c.bytes = tx, n
	}
	return err
}
