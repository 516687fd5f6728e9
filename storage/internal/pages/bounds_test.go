package pages

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// A page may span maxSpan bytes, and a tree be maxDepth pages high, in a file that is
// read page by page.
func TestMaxSpanAndDepth(t *testing.T) {
	const pageSize = 4096
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(2*maxSpan))
	p := &pageFile{f: f, pageSize: pageSize, pages: 2 * maxSpan / pageSize}
	leaf := func(id uint64, overflow int) {
		header := make([]byte, pageHeader)
		order.PutUint64(header, id)
		order.PutUint16(header[8:], flagLeaf)
		order.PutUint32(header[12:], uint32(overflow))
		_, err := f.WriteAt(header, int64(id)*pageSize)
		require.NoError(t, err)
	}
	leaf(2, maxSpan/pageSize-1)
	pg, err := p.read(2)
	require.NoError(t, err)
	require.Len(t, pg.data, maxSpan)
	leaf(2, maxSpan/pageSize)
	_, err = p.read(2)
	require.ErrorIs(t, err, disk.ErrCorrupt)

	leaf(3, 0)
	leaf(4, 0)
	r := &Reader{src: p, seen: newBitmap(p.pages)}
	r.meter = r.begin("reading")
	require.True(t, r.each(3, maxDepth, func(*Element) {}))
	require.False(t, r.each(4, maxDepth+1, func(*Element) {}))
	require.True(t, r.incomplete)
}
