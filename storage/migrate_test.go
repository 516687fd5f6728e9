package storage

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// schema1 writes out a database of the last version with schema 1: 20 values and 20 published
// keys, 300 provider records of three peers, of which one was republished and one removed, a
// snapshot, and a row of the datastore.
func schema1(t *testing.T) (dir string, file []byte) {
	t.Helper()
	packed, err := os.Open(filepath.Join("testdata", "schema1.db.gz"))
	require.NoError(t, err)
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	require.NoError(t, err)
	file, err = io.ReadAll(z)
	require.NoError(t, err)
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, FileName), file, 0o600))
	return dir, file
}

func requireMigrated(t *testing.T, db *DB) {
	t.Helper()
	st := db.Stats()
	require.EqualValues(t, 20, st.Records[records.KindValue])
	require.EqualValues(t, 299, st.Records[records.KindProvider])
	require.EqualValues(t, 20, st.Published[records.KindProvider])
	require.EqualValues(t, 3, st.Providers)
	for i := range 300 {
		list, err := db.Providers(nil, start, []byte(fmt.Sprint("key", i)), 10)
		require.NoError(t, err)
		switch i {
		case 1:
			require.Empty(t, list)
			continue
		case 0:
			require.Equal(t, start.Add(40*time.Hour), list[0].Expires, "the newest of two")
		default:
			require.Equal(t, start.Add(time.Duration(1+i%48)*time.Hour), list[0].Expires)
		}
		require.EqualValues(t, fmt.Sprint("peer", i%3), list[0].ID)
		require.Len(t, list[0].Addrs, 2*min(i%3, 1))
	}
	v, err := db.Value(start, []byte("value7"))
	require.NoError(t, err)
	require.Equal(t, "of 7", string(v.Value))
	snap, err := db.LoadSnapshot()
	require.NoError(t, err)
	require.Len(t, snap.Peers, 1)
	row, err := db.Datastore().Get(t.Context(), ds.NewKey("/some/key"))
	require.NoError(t, err)
	require.Equal(t, "some value", string(row))
}

func TestMigrate(t *testing.T) {
	dir, file := schema1(t)
	_, err := Open(dir, Options{Options: runs.Options{ReadOnly: true}})
	require.ErrorIs(t, err, ErrSchema)
	for i := range 3 { // of earlier migrations
		touch(t, filepath.Join(dir, fmt.Sprint(FileName, suffixSchema, "-0-", i)), 10, 100-i)
	}
	for range 2 { // the second time there is nothing to do
		db, err := Open(dir, Options{Network: "/ipfs"})
		require.NoError(t, err)
		require.True(t, db.CleanStart())
		requireMigrated(t, db)
		require.NoError(t, db.Close())
		requireSound(t, dir)
	}
	kept, err := os.ReadFile(filepath.Join(dir, FileName+".schema-1"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(file, kept), "the old file is kept unchanged")
	require.Equal(t, keptCopies, copiesByKind(t, dir)[FileName+suffixSchema])
}

// TestMigrateIsCutShort leaves staged files as a crash does, and makes the note impossible to
// write. The old file stays until all of the new ones are complete.
func TestMigrateIsCutShort(t *testing.T) {
	dir, file := schema1(t)
	for _, name := range dbFiles {
		require.NoError(t, os.WriteFile(staged(dir, name), []byte("half"), 0o600))
	}
	db := newDB(dir, "", Options{}.WithDefaults())
	require.ErrorIs(t, db.open(), errOldSchema)
	require.NoError(t, os.Mkdir(filepath.Join(dir, adoptName), 0o700)) // the note cannot be written
	require.Error(t, db.migrate())
	left, err := os.ReadFile(filepath.Join(dir, FileName))
	require.NoError(t, err)
	require.True(t, bytes.Equal(file, left))
	require.NoError(t, errors.Join(db.file.Close(nil), os.Remove(filepath.Join(dir, adoptName))))

	again, err := Open(dir, Options{Network: "/ipfs"})
	require.NoError(t, err)
	requireMigrated(t, again)
	require.NoError(t, again.Close())
	requireSound(t, dir)
}
