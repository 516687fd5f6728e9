package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage"
)

// setSchema makes the database in dir one of another schema, last written by a program.
func setSchema(t *testing.T, dir string, schema byte, program string) {
	b, err := bbolt.Open(filepath.Join(dir, storage.FileName), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, b.Update(func(tx *bbolt.Tx) error {
		require.Equal(t, "holdfast "+BuildInfo().Version, string(tx.Bucket([]byte("meta")).Get([]byte("program"))))
		require.NoError(t, tx.Bucket([]byte("meta")).Put([]byte("program"), []byte(program)))
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte{0, 0, 0, schema})
	}))
	require.NoError(t, b.Close())
}

// After a downgrade over a schema the daemon refuses the database of the newer version, and
// its advice works: a restored backup, and the files that the newer version kept.
func TestDowngradeOverASchema(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	var backup bytes.Buffer
	require.NoError(t, d.Backend().Backup(t.Context(), &backup))
	require.NoError(t, d.Close())
	old, err := os.ReadFile(filepath.Join(dir, storage.FileName))
	require.NoError(t, err)
	setSchema(t, dir, 3, "holdfast v7.8.9")
	refused := func() string {
		o, _ := options(t, dir)
		_, err := Start(o)
		require.ErrorIs(t, err, storage.ErrSchema)
		require.ErrorContains(t, err, "holdfast.db has schema 3, this program knows 2; holdfast v7.8.9 wrote it: install that version, or a later one; to ")
		return err.Error()
	}
	us := "holdfast " + BuildInfo().Version

	require.Contains(t, refused(), "; to stay with "+us+", restore a backup that it made (holdfast restore FILE)")
	_, err = RestoreStore(dir, &backup, environment{}.get, false, nil)
	require.NoError(t, err)
	require.NoError(t, start(t, dir).Close())

	setSchema(t, dir, 3, "holdfast v7.8.9")
	kept := filepath.Join(dir, storage.FileName+".schema-2")
	require.NoError(t, os.WriteFile(kept, old, 0o600))
	require.Contains(t, refused(), "; to go back to "+us+" without the records stored since, remove holdfast.db, providers-log.db, providers-runs.db from "+dir+" and rename holdfast.db.schema-2 to holdfast.db")
	for _, name := range []string{"holdfast.db", "providers-log.db", "providers-runs.db"} {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	require.NoError(t, os.Rename(kept, filepath.Join(dir, storage.FileName)))
	require.NoError(t, start(t, dir).Close())
}
