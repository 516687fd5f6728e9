package pages

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// TestKeyOutOfPlace changes keys so that their page is still sorted, but no longer fits its
// place in the tree. bbolt, which walks a file without a list of free pages, would leak a
// goroutine for each such file.
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
	_, err = Verify(path, All, true, nil)
	require.NoError(t, err)
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
			_, err := Verify(path, All, true, nil)
			if edge := change.to == 'z' && bytes.Contains(page, []byte("key 00001999")); edge {
				require.NoError(t, err, "nothing bounds the last key")
				continue
			}
			require.ErrorIs(t, err, disk.ErrCorrupt, "page %d", at/4096)
		}
	}
	require.Greater(t, pages, 5)
}

// openPages opens the pages of a file until the test ends.
func openPages(t *testing.T, path string) *pageFile {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	p, err := openPageFile(f)
	require.NoError(t, err)
	return p
}

// branchesOf returns the branch pages of a file without nested buckets, and the file offsets
// of their child references.
func branchesOf(t *testing.T, path string) (branches []uint64, children []int64) {
	t.Helper()
	p := openPages(t, path)
	v := newVerifier(p, All)
	require.NoError(t, v.readFreelist())
	require.NoError(t, v.walk())
	for id := range p.pages {
		if id < 2 || !v.seen.has(id) || v.freelist == id {
			continue
		}
		pg, err := p.read(id)
		require.NoError(t, err)
		if pg.flags != flagBranch {
			continue
		}
		branches = append(branches, id)
		for i := range pg.count {
			children = append(children, int64(id)*p.pageSize+int64(pageHeader+i*elementSize+8))
		}
	}
	return branches, children
}

// deepFile returns a file with a tree that has branches below branches, as large files have,
// and a flat one.
func deepFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "deep.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, PageSize: 4096})
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		for _, rows := range []int{300, 10} {
			b, err := tx.CreateBucket(fmt.Appendf(nil, "%d rows", rows))
			if err != nil {
				return err
			}
			for i := range rows {
				if err := b.Put(fmt.Appendf(nil, "%0400d", i), []byte("value")); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	require.NoError(t, db.Close())
	return path
}

// TestBranchThatPointsUp replaces each child of a branch with every branch of a large file.
// bbolt would follow a branch that points up the tree until it is out of memory.
func TestBranchThatPointsUp(t *testing.T) {
	path := deepFile(t)
	branches, children := branchesOf(t, path)
	require.Greater(t, len(branches), 15)
	tried, passed := 0, 0
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	for _, at := range children {
		right := make([]byte, 8)
		_, err := f.ReadAt(right, at)
		require.NoError(t, err)
		for _, to := range branches {
			if to == order.Uint64(right) {
				continue
			}
			tried++
			_, err := f.WriteAt(order.AppendUint64(nil, to), at)
			require.NoError(t, err)
			if _, err = verifyFile(f, 2, nil); err == nil {
				passed++
				require.LessOrEqual(t, rowsOf(t, path), 310, "child at %d: page %d", at, to)
			}
		}
		_, err = f.WriteAt(right, at)
		require.NoError(t, err)
	}
	_, err = verifyFile(f, 2, nil)
	require.NoError(t, err)
	require.Less(t, passed, tried/20, "branches in the place of one above them, which ends")
}

// rowsOf lets bbolt walk the trees of a damaged file. It stops when it has counted more rows
// than exist.
func rowsOf(t *testing.T, path string) (rows int) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	_ = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(_, _ []byte) error {
				if rows++; rows > 1000 {
					return errors.New("endless")
				}
				return nil
			})
		})
	})
	return rows
}

// TestLeavesAreNotRead checks that a start reads only the branches of a large file.
func TestLeavesAreNotRead(t *testing.T) {
	path := deepFile(t)
	branches, children := branchesOf(t, path)
	p := openPages(t, path)
	v := newVerifier(p, 2)
	require.NoError(t, v.readFreelist())
	require.NoError(t, v.walk())
	require.Equal(t, 1+len(branches), v.met, "the leaf of the buckets, and branches")
	leaves := 1 + len(children) - (len(branches) - 2) // two branches are roots
	seen := 0
	for id := range p.pages {
		if v.seen.has(id) {
			seen++
		}
	}
	require.Equal(t, len(branches)+leaves+1, seen, "and the list of free pages")
}
