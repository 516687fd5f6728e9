package storage

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// The copy is the one that bbolt.Compact makes: all buckets, sequences and rows, in a
// file as long, in as many transactions.
func TestCopyIsThatOfBbolt(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for depth := range 3 {
		open := func(name string) *bbolt.DB {
			db, err := bbolt.Open(filepath.Join(t.TempDir(), name), 0o600, &bbolt.Options{NoSync: true, PageSize: 4096})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			return db
		}
		src, ours, theirs := open("src"), open("ours"), open("theirs")
		require.NoError(t, src.Update(func(tx *bbolt.Tx) error { return grow(root(tx), rng, depth) }))
		require.NoError(t, src.View(func(tx *bbolt.Tx) error { return copyRows(ours, tx, disk.NewMeter(nil, Progress{})) }))
		require.NoError(t, bbolt.Compact(theirs, src, compactTx))
		require.True(t, bytes.Equal(dump(t, src), dump(t, ours)))
		require.NoError(t, ours.View(func(a *bbolt.Tx) error {
			return theirs.View(func(b *bbolt.Tx) error {
				require.Equal(t, b.ID(), a.ID())
				require.Equal(t, b.Size(), a.Size())
				for err := range a.Check() {
					require.NoError(t, err)
				}
				return nil
			})
		}))
	}
}

// grow fills a bucket at random with others, that are nested so deeply, and with rows.
func grow(b *bbolt.Bucket, rng *rand.Rand, depth int) error {
	for i := range rng.IntN(4) + 1 {
		inner, err := b.CreateBucket(fmt.Appendf(nil, "bucket %d", i))
		if err != nil {
			return err
		}
		if err := inner.SetSequence(rng.Uint64()); err != nil {
			return err
		}
		for range rng.IntN(300) {
			value := make([]byte, rng.IntN(200)*rng.IntN(2)) // half of them are empty
			for i := range value {
				value[i] = byte(rng.Uint32())
			}
			if rng.IntN(300) == 0 {
				value = make([]byte, compactTx/3)
			}
			if err := inner.Put(fmt.Appendf(nil, "row %d", rng.IntN(1000)), value); err != nil {
				return err
			}
		}
		if depth > 0 {
			if err := grow(inner, rng, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// dump writes all that is in a file.
func dump(t *testing.T, db *bbolt.DB) []byte {
	var out bytes.Buffer
	var visit func(b *bbolt.Bucket) error
	visit = func(b *bbolt.Bucket) error {
		fmt.Fprintf(&out, "[%d\n", b.Sequence())
		err := b.ForEach(func(k, v []byte) error {
			if v == nil {
				fmt.Fprintf(&out, "bucket %q\n", k)
				return visit(b.Bucket(k))
			}
			fmt.Fprintf(&out, "%q %x\n", k, sha256.Sum256(v))
			return nil
		})
		out.WriteString("]\n")
		return err
	}
	require.NoError(t, db.View(func(tx *bbolt.Tx) error { return visit(root(tx)) }))
	return out.Bytes()
}
