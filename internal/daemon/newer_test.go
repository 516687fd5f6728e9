package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/records"
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

	provide(t, dir)
	setSchema(t, dir, 3, "holdfast v7.8.9")
	kept := filepath.Join(dir, storage.FileName+".schema-2")
	require.NoError(t, os.WriteFile(kept, old, 0o600))
	require.Contains(t, refused(), "; to go back to "+us+" without what these files have stored since, rename holdfast.db.schema-2 to holdfast.db in "+dir+"; leave providers-log.db and providers-runs.db as they are")
	require.NoError(t, os.Rename(kept, filepath.Join(dir, storage.FileName)))
	again := start(t, dir)
	require.EqualValues(t, 1, again.store.Stats().Records[records.KindProvider], "only holdfast.db was replaced")
	require.NoError(t, again.Close())

	for _, name := range []string{"holdfast.db", "providers-log.db", "providers-runs.db"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".schema-2"), nil, 0o600))
	}
	setSchema(t, dir, 3, "holdfast v7.8.9")
	require.Regexp(t, "rename holdfast.db.schema-2 to holdfast.db, providers-log.db.schema-2 to providers-log.db, and providers-runs.db.schema-2 to providers-runs.db in "+dir+"$", refused())
}

// provide stores a provider record in the database in dir.
func provide(t *testing.T, dir string) {
	db, err := storage.Open(dir, storage.Options{})
	require.NoError(t, err)
	require.NoError(t, db.AddProvider(time.Now(), []byte("key"), records.Provider{ID: "peer", Expires: time.Now().Add(time.Hour)}, false))
	require.NoError(t, db.Close())
}

// A repair keeps the network of the database, whatever the configuration says, and a restored
// backup of a running daemon does not count as a crash.
func TestRepairAndRestore(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	var backup bytes.Buffer
	require.NoError(t, d.Backend().Backup(t.Context(), &backup))
	require.NoError(t, d.Close())

	b, err := bbolt.Open(filepath.Join(dir, storage.FileName), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, b.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("schema")) }))
	require.NoError(t, b.Close())
	c := config.Default()
	require.NotEqual(t, d.config.Network.ProtocolPrefix, c.Network.ProtocolPrefix)
	r, err := CheckStore(dir, &c, true, nil)
	require.NoError(t, err)
	require.NotEmpty(t, r.MovedTo)
	d = start(t, dir)
	s, err := d.backend.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "DATABASE DAMAGED", s.Verdict.Word)
	require.Contains(t, s.Verdict.Why, "1 damaged file was moved aside; everything in it could be read and was recovered")
	require.NoError(t, d.Close())

	_, err = RestoreStore(dir, &backup, environment{}.get, false, nil)
	require.NoError(t, err)
	d = start(t, dir)
	require.EqualValues(t, 2, d.starts.Count)
	require.Zero(t, d.starts.Unclean)
}
