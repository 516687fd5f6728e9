package pages

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// rowsRead returns how many rows a Reader finds in the buckets of a file, and how many by a
// search of all its pages.
func rowsRead(t *testing.T, path string) (r *Reader, followed, searched int) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	r, err = NewReader(f, "deep.db", nil)
	require.NoError(t, err)
	top, whole := r.Buckets()
	require.True(t, whole)
	require.Len(t, top, 2)
	for _, b := range top {
		r.Rows(b, func(*Element) { followed++ })
	}
	r.Search("rows", func(*Element) { searched++ })
	return r, followed, searched
}

// If a branch is lost, the rows below it cannot be reached, but a search finds them.
func TestReader(t *testing.T) {
	path := deepFile(t)
	r, followed, searched := rowsRead(t, path)
	require.False(t, r.Incomplete())
	require.Equal(t, 310, followed)
	require.Equal(t, 310, searched)

	branches, _ := branchesOf(t, path)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(make([]byte, pageHeader), int64(branches[0])*r.src.pageSize)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	r, followed, searched = rowsRead(t, path)
	require.True(t, r.Incomplete())
	require.Less(t, followed, 310)
	require.Equal(t, 310, searched)
}

// A search ends after Stop.
func TestReaderStops(t *testing.T) {
	f, err := os.Open(deepFile(t))
	require.NoError(t, err)
	defer f.Close()
	r, err := NewReader(f, "deep.db", nil)
	require.NoError(t, err)
	rows := 0
	r.Search("rows", func(*Element) { rows++; r.Stop() })
	require.Less(t, rows, 20, "those of one page")
}
