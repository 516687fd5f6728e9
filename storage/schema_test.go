package storage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// opened opens a store as a program does, and closes it.
func opened(t *testing.T, dir, program string) {
	db, err := Open(dir, Options{Program: program})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	requireSound(t, dir)
}

// A newer version names itself in its files and keeps the ones that it replaced. Opening them
// with this version reports both and changes nothing.
func TestNewerSchema(t *testing.T) {
	for name, edit := range map[string]func(dir string) string{
		"holdfast.db": func(dir string) string {
			editFile(t, dir, func(tx *bbolt.Tx) error {
				return tx.Bucket(bucketMeta).Put(keySchema, disk.U32(schemaVersion+1))
			})
			return FileName
		},
		"provider records": func(dir string) string {
			b, err := bbolt.Open(filepath.Join(dir, runs.LogName), 0o600, nil)
			require.NoError(t, err)
			require.NoError(t, b.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("schema"), disk.U32(3)) }))
			require.NoError(t, b.Close())
			return runs.LogName
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			opened(t, dir, "test v1")
			opened(t, dir, "test v2")
			opened(t, dir, "")
			file := edit(dir)
			kept := filepath.Join(dir, FileName+".schema-2")
			for _, path := range []string{kept, filepath.Join(dir, FileName+".schema-1"), filepath.Join(dir, FileName+".replaced")} {
				require.NoError(t, os.WriteFile(path, nil, 0o600))
			}
			before, err := os.ReadFile(filepath.Join(dir, file))
			require.NoError(t, err)

			_, err = Open(dir, Options{Program: "test v1"})
			require.ErrorIs(t, err, ErrSchema)
			require.ErrorContains(t, err, file+" has schema 3, this program knows 2")
			var e *SchemaError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "test v2", e.Program)
			require.Equal(t, []string{kept}, e.Kept)
			_, err = Check(dir, nil)
			require.ErrorAs(t, err, &e)

			after, err := os.ReadFile(filepath.Join(dir, file))
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

// What the disk says about the program is not trusted.
func TestNewerSchemaOfNoProgram(t *testing.T) {
	for name, want := range map[string]string{
		strings.Repeat("p", maxProgramLen):   strings.Repeat("p", maxProgramLen),
		strings.Repeat("p", maxProgramLen+1): "",
		"\xff":                               "",
		"v1\x1b[2J":                          "",
		"":                                   "",
	} {
		dir := t.TempDir()
		opened(t, dir, "")
		editFile(t, dir, func(tx *bbolt.Tx) error {
			meta := tx.Bucket(bucketMeta)
			return disk.FirstErr(meta.Put(keyProgram, []byte(name)), meta.Put(keySchema, disk.U32(schemaVersion+1)))
		})
		var e *SchemaError
		_, err := Open(dir, Options{})
		require.ErrorAs(t, err, &e)
		require.Equal(t, want, e.Program)
		require.Empty(t, e.Kept)
	}
}
