package storage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// TestKeyOutOfPlace changes keys so that their page is still in order, but not
// where it hangs in the tree. bbolt, walking it for want of a list of free pages,
// would leave a goroutine behind for each.
func TestKeyOutOfPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tree.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, NoSync: true, PageSize: 4096})
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("rows"))
		for i := 0; i < 2000 && err == nil; i++ {
			err = b.Put(fmt.Appendf(nil, "key %08d", i), []byte("value"))
		}
		return err
	}))
	require.NoError(t, db.Close())
	require.NoError(t, verifyFile(path, wholeFile, true, nil))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)

	pages := 0
	for at := 0; at < len(whole); at += 4096 {
		page := whole[at : at+4096]
		first, last := bytes.Index(page, []byte("key ")), bytes.LastIndex(page, []byte("key "))
		if page[8] != flagLeaf || first < 0 {
			continue
		}
		pages++
		for _, change := range []struct {
			at int
			to byte
		}{{first, 'a'}, {last, 'z'}} {
			b := bytes.Clone(whole)
			b[at+change.at] = change.to
			require.NoError(t, os.WriteFile(path, b, 0o600))
			err := verifyFile(path, wholeFile, true, nil)
			if edge := change.to == 'z' && bytes.Contains(page, []byte("key 00001999")); edge {
				require.NoError(t, err, "nothing bounds the last key")
				continue
			}
			require.ErrorIs(t, err, ErrCorrupt, "page %d", at/4096)
		}
	}
	require.Greater(t, pages, 5)
}
