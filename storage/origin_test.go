package storage

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
	}, nil)
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
