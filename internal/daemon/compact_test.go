package daemon

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// hollow creates a database that is nearly all free: all but one of its values, 21 MiB in
// total, have expired.
func hollow(t *testing.T, dir string) (size int64) {
	t.Helper()
	db, err := storage.Open(dir, storage.Options{Options: runs.Options{NoSync: true}, Network: "/test"})
	require.NoError(t, err)
	now := time.Now()
	better := func(_, _, _ []byte) bool { return true }
	for i := range 2000 {
		v := records.Value{Key: fmt.Appendf(nil, "/example/%d", i), Value: make([]byte, 10<<10), Expires: now.Add(time.Minute)}
		if i == 0 {
			v.Expires = now.Add(40 * time.Hour)
		}
		require.NoError(t, db.PutValue(now, v, better))
	}
	for more := true; more; {
		out, err := db.Expire(now.Add(24 * time.Hour))
		require.NoError(t, err)
		more = out.More
	}
	sizes, err := db.Sizes()
	require.NoError(t, err)
	require.Greater(t, 2*sizes.Free, sizes.File)
	require.NoError(t, db.Close())
	return sizes.File
}

// The start compacts a large database that is mostly free, and leaves a smaller one
// unchanged.
func TestCompactAtStart(t *testing.T) {
	for above, compacted := range map[string]bool{"1MiB": true, "1GiB": false, "0": false} {
		t.Run(above, func(t *testing.T) {
			dir := t.TempDir()
			before := hollow(t, dir)
			o, logs := options(t, dir, config.Setting{Key: "storage.compact_above", Value: above})
			d, err := Start(o)
			require.NoError(t, err)
			defer d.Close()
			if compacted {
				require.Less(t, d.fileSize(), before/2)
				require.Contains(t, logs.String(), "database compacted")
			} else {
				require.Greater(t, d.fileSize(), before/2)
			}
			_, err = d.Records().Value(time.Now(), []byte("/example/0"))
			require.NoError(t, err)
			s, err := d.Backend().Status(t.Context())
			require.NoError(t, err)
			require.Zero(t, s.UncleanStarts)
		})
	}
}
