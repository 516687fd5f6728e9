package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// A backup says which node and network it is of, and a restore that is not accepted changes
// nothing.
func TestRestoreIf(t *testing.T) {
	backup := func(dir string, o Origin) []byte {
		db, err := Open(dir, Options{Network: o.Network})
		require.NoError(t, err)
		require.NoError(t, db.NoteNode(strings.Repeat("n", maxProgramLen)))
		require.NoError(t, db.NoteNode(o.Node))
		require.NoError(t, db.NoteNode(""), "it keeps the name")
		require.Error(t, db.NoteNode(strings.Repeat("n", maxProgramLen+1)))
		var buf bytes.Buffer
		_, err = db.Backup(&buf)
		require.NoError(t, err)
		require.NoError(t, db.Close())
		return buf.Bytes()
	}
	a, b := Origin{"/a", "node a"}, Origin{"/b", "node b"}
	dir := t.TempDir()
	backup(dir, a)
	saved := backup(t.TempDir(), b)
	before, err := os.ReadFile(filepath.Join(dir, FileName))
	require.NoError(t, err)

	refused := errors.New("refused")
	_, err = RestoreIf(dir, bytes.NewReader(saved), func(backup, present Origin) error {
		require.Equal(t, b, backup)
		require.Equal(t, a, present)
		return refused
	}, func(p Progress) { t.Errorf("%s before it is refused", p.Step) })
	require.ErrorIs(t, err, refused)
	after, err := os.ReadFile(filepath.Join(dir, FileName))
	require.NoError(t, err)
	require.Equal(t, before, after)
	left, err := filepath.Glob(filepath.Join(dir, "*.new"))
	require.NoError(t, err)
	require.Empty(t, left)
	requireSound(t, dir)

	yes := func(_, present Origin) error {
		require.Zero(t, present)
		return nil
	}
	for _, damaged := range [][]byte{nil, []byte("no database"), bytes.Repeat([]byte{0xff}, len(before))} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, FileName), damaged, 0o600))
		old, err := RestoreIf(dir, bytes.NewReader(saved), yes, nil)
		require.NoError(t, err, "what is there cannot be read")
		require.Len(t, old, len(dbFiles))
		requireSound(t, dir)
	}
	old, err := RestoreIf(t.TempDir(), bytes.NewReader(saved), yes, nil)
	require.NoError(t, err)
	require.Empty(t, old)
}

// The backup of an open store is complete, so the start after a restore is a clean one.
func TestRestoredIsClean(t *testing.T) {
	db, err := Open(t.TempDir(), Options{Network: "/test"})
	require.NoError(t, err)
	require.NoError(t, db.PutValue(start, records.Value{Key: []byte("key"), Value: []byte("value"), Expires: start.Add(time.Hour)}, nil))
	provide(t, db, start, "key", "peer", time.Hour, false)
	var backup bytes.Buffer
	_, err = db.Backup(&backup)
	require.NoError(t, err)
	require.NoError(t, db.Close())

	dir := t.TempDir()
	_, err = Restore(dir, &backup, nil)
	require.NoError(t, err)
	db, err = Open(dir, Options{Network: "/test"})
	require.NoError(t, err)
	require.True(t, db.CleanStart())
	require.EqualValues(t, 1, db.Stats().Records[records.KindValue])
	require.EqualValues(t, 1, db.Stats().Records[records.KindProvider])
	require.NoError(t, db.Close())
	requireSound(t, dir)
}

// A file without a network becomes one of the first network that it is opened for.
func TestNetworkIsAdopted(t *testing.T) {
	dir := t.TempDir()
	for _, network := range []string{"", "", "/a", ""} {
		db, err := Open(dir, Options{Network: network})
		require.NoError(t, err)
		require.True(t, db.CleanStart())
		require.NoError(t, db.Close())
	}
	require.Equal(t, Origin{Network: "/a"}, originIn(filepath.Join(dir, FileName)))
	_, err := Open(dir, Options{Network: "/b"})
	require.ErrorIs(t, err, ErrNetwork)
	requireSound(t, dir)
}

// A damaged name says nothing, however the file is read.
func TestDamagedOrigin(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{Network: "/a"})
	require.NoError(t, err)
	require.NoError(t, db.NoteNode("node a"))
	require.NoError(t, db.Close())
	editFile(t, dir, func(tx *bbolt.Tx) error {
		return errors.Join(tx.Bucket(bucketMeta).Put(keyNetwork, []byte("/a\x00")), tx.Bucket(bucketMeta).Put(keyNode, []byte("node\xff")))
	})
	require.Zero(t, originIn(filepath.Join(dir, FileName)))
	db = openTest(t, dir, Options{})
	require.Zero(t, db.Origin())
}

// A file is read before it is checked: pages that lead back to themselves do not end the
// process, as they do in bbolt.
func TestOriginOfACycle(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{Network: "/a"})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	path := filepath.Join(dir, FileName)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	size := os.Getpagesize()
	for id := 2; id < len(file)/size; id++ {
		page := file[id*size : (id+1)*size]
		if binary.NativeEndian.Uint16(page[8:]) == 16 {
			continue // the list of free pages
		}
		clear(page)
		binary.NativeEndian.PutUint64(page, uint64(id))
		binary.NativeEndian.PutUint16(page[8:], 1)           // a branch
		binary.NativeEndian.PutUint16(page[10:], 1)          // with one element:
		binary.NativeEndian.PutUint32(page[16:], 16)         // its key, which is empty, follows
		binary.NativeEndian.PutUint64(page[24:], uint64(id)) // it leads to this page
	}
	require.NoError(t, os.WriteFile(path, file, 0o600))
	require.Zero(t, originIn(path))
}

// Damaged files keep their network, and are not repaired for another one.
func TestRepairKeepsTheNetwork(t *testing.T) {
	damaged := func() string {
		dir := t.TempDir()
		db, err := Open(dir, Options{Network: "/a"})
		require.NoError(t, err)
		require.NoError(t, db.NoteNode("node a"))
		require.NoError(t, db.Close())
		editFile(t, dir, func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Delete(keySchema) })
		return dir
	}
	repair := map[string]func(string, Options) error{
		"Repair": func(dir string, o Options) error { _, err := Repair(dir, o); return err },
		"Open": func(dir string, o Options) error {
			db, err := Open(dir, o)
			if err != nil {
				return err
			}
			return db.Close()
		},
	}
	for name, do := range repair {
		t.Run(name, func(t *testing.T) {
			dir := damaged()
			before, err := os.ReadFile(filepath.Join(dir, FileName))
			require.NoError(t, err)
			require.ErrorIs(t, do(dir, Options{Network: "/b"}), ErrNetwork)
			after, err := os.ReadFile(filepath.Join(dir, FileName))
			require.NoError(t, err)
			require.Equal(t, before, after)
			files, err := filepath.Glob(filepath.Join(dir, "*.*.*"))
			require.NoError(t, err)
			require.Empty(t, files, "nothing is staged or moved aside")

			require.NoError(t, do(dir, Options{}))
			require.Equal(t, Origin{"/a", "node a"}, originIn(filepath.Join(dir, FileName)))
			requireSound(t, dir)
		})
	}
}
