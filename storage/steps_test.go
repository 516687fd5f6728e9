package storage

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// A transaction of Compact copies at most compactTx bytes of keys and values.
func TestCompactTx(t *testing.T) {
	for over := range 2 {
		dir := t.TempDir()
		src, dst := filepath.Join(dir, "src.db"), filepath.Join(dir, "dst.db")
		bucket := []byte("rows")
		db, err := bbolt.Open(src, 0o600, &bbolt.Options{NoSync: true})
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket(bucket)
			left := compactTx + over - len(bucket)
			for i := byte(0); err == nil && left > 0; i++ {
				n := min(left, 1<<20)
				err, left = b.Put([]byte{i}, make([]byte, n-1)), left-n
			}
			return err
		}))
		require.NoError(t, db.Close())
		require.NoError(t, compactTo(dst, src, 0, 1, nil))
		db, err = bbolt.Open(dst, 0o600, &bbolt.Options{ReadOnly: true})
		require.NoError(t, err)
		require.NoError(t, db.View(func(tx *bbolt.Tx) error {
			require.Equal(t, 1+1+over, tx.ID(), "bbolt creates a file with transaction 1")
			return nil
		}))
		require.NoError(t, db.Close())
	}
}

// CollectGarbage and Check process at most dsStep rows per transaction.
func TestDatastoreStep(t *testing.T) {
	ctx := t.Context()
	for over := range 2 {
		var o observer
		d, c := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true, Observer: &o}})
		var ops []keyedOp
		for i := range dsStep + over {
			ops = append(ops, keyedOp{fmt.Appendf(nil, "/%06d", i), dsOp{expires: nanos(c.now().Add(time.Hour))}})
		}
		require.NoError(t, d.commit(ctx, "test", func(x *txn) error { return x.dsWrite(ops) }))
		reads := func() int { st := d.db.file.Bolt.Stats(); return st.TxN }
		before := reads()
		require.NoError(t, d.Check(ctx))
		require.Equal(t, 2*(1+over), reads()-before, "the rows, then the index")
		c.advance(time.Hour + records.ExpireGrace)
		before = o.commits
		require.NoError(t, d.CollectGarbage(ctx))
		require.Equal(t, 1+over, o.commits-before)
	}
}
