package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/holdfast-dht/holdfast/storage/runs"
	ds "github.com/ipfs/go-datastore"
	dsq "github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// TestDatastoreDamage changes rows without their index. A check reports it, and a repair
// copies the intact rows.
func TestDatastoreDamage(t *testing.T) {
	for name, edit := range map[string]func(rows, index *bbolt.Bucket) error{
		"row without index": func(_, index *bbolt.Bucket) error { k, _ := index.Cursor().First(); return index.Delete(k) },
		"index without row": func(rows, _ *bbolt.Bucket) error { return rows.Delete([]byte(keyB.String())) },
		"another expiry":    func(_, index *bbolt.Bucket) error { return index.Put(expiryKey(start, []byte(keyB.String())), nil) },
		"malformed index":   func(_, index *bbolt.Bucket) error { return index.Put([]byte("x"), nil) },
		"damaged row":       func(rows, _ *bbolt.Bucket) error { return rows.Put([]byte(keyA.String()), []byte{1, 2, 3, 4, 5, 6}) },
		"version ahead":     func(rows, _ *bbolt.Bucket) error { return rows.SetSequence(0) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, dir := t.Context(), t.TempDir()
			d, err := OpenDatastore(dir, Options{Options: runs.Options{NoSync: true}})
			require.NoError(t, err)
			require.NoError(t, d.Put(ctx, keyA, []byte("a")))
			require.NoError(t, d.PutWithTTL(ctx, keyB, []byte("b"), time.Hour))
			require.NoError(t, d.Put(ctx, keyC, []byte("c")))
			require.NoError(t, d.Close())
			editFile(t, dir, func(tx *bbolt.Tx) error { return edit(tx.Bucket(bucketDatastore), tx.Bucket(bucketDatastoreExpiry)) })
			r, err := Check(dir, nil)
			require.NoError(t, err)
			require.NotEmpty(t, r.Problems)
			d, err = OpenDatastore(dir, Options{Options: runs.Options{NoSync: true}})
			require.NoError(t, err)
			require.ErrorIs(t, d.Check(ctx), ErrCorrupt)
			require.NoError(t, d.Close())
			q, err := Repair(dir, Options{Options: runs.Options{NoSync: true}})
			require.NoError(t, err)
			require.Equal(t, name == "damaged row", q.Incomplete)
			requireSound(t, dir)
			d, err = OpenDatastore(dir, Options{Options: runs.Options{NoSync: true}})
			require.NoError(t, err)
			defer d.Close()
			require.Equal(t, "c", contents(t, d, dsq.Query{})[keyC.String()])
			require.NoError(t, d.Check(ctx))
		})
	}
}

// TestDatastoreSurvivesMaintenance checks that a backup, a compaction and a repair keep the
// datastore.
func TestDatastoreSurvivesMaintenance(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	d, err := OpenDatastore(dir, Options{Options: runs.Options{NoSync: true}})
	require.NoError(t, err)
	want := map[string]string{}
	for i := range 2000 {
		k := ds.NewKey(fmt.Sprint(i))
		require.NoError(t, d.PutWithTTL(ctx, k, fmt.Append(nil, i), time.Duration(i+1)*time.Hour))
		want[k.String()] = fmt.Sprint(i)
	}
	backup, err := os.Create(filepath.Join(t.TempDir(), "backup"))
	require.NoError(t, err)
	defer backup.Close()
	_, err = d.db.Backup(backup)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	same := func() {
		t.Helper()
		requireSound(t, dir)
		d, err := OpenDatastore(dir, Options{Options: runs.Options{NoSync: true}})
		require.NoError(t, err)
		require.Equal(t, want, contents(t, d, dsq.Query{}))
		require.NoError(t, d.Close())
	}
	_, _, err = Compact(dir, nil)
	require.NoError(t, err)
	same()
	q, err := Repair(dir, Options{Options: runs.Options{NoSync: true}})
	require.NoError(t, err)
	require.False(t, q.Incomplete)
	same()
	_, err = backup.Seek(0, 0)
	require.NoError(t, err)
	_, err = Restore(dir, backup, nil)
	require.NoError(t, err)
	same()
}
