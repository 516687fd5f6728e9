package storage

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/storage/runs"
)

// TestInterruptedReplacement crashes at every step of moving new files into place.
func TestInterruptedReplacement(t *testing.T) {
	before, after := fill(t), fill(t)
	note := func(dir string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, adoptName), []byte(".corrupt-1"), 0o600))
	}
	put := func(dir, name string, b []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	for step := range 3*len(dbFiles) + 1 {
		dir := t.TempDir()
		for i, name := range dbFiles {
			switch done := step - 3*i; {
			case done <= 0:
				put(dir, name, before[name])
				put(dir, name+stagedSuffix, after[name])
			case done == 1: // the old file has been moved aside
				put(dir, name+".corrupt-1", before[name])
				put(dir, name+stagedSuffix, after[name])
			default:
				put(dir, name+".corrupt-1", before[name])
				put(dir, name, after[name])
			}
		}
		note(dir)
		_, err := Open(dir, Options{Options: runs.Options{ReadOnly: true}})
		require.ErrorIs(t, err, ErrCorrupt)
		db := openTest(t, dir, Options{})
		require.Nil(t, db.Quarantined())
		require.EqualValues(t, damagedPublished, db.Stats().Published[0]+db.Stats().Published[1])
		for _, name := range dbFiles {
			require.FileExists(t, filepath.Join(dir, name+".corrupt-1"))
			require.NoFileExists(t, filepath.Join(dir, name+stagedSuffix))
		}
		require.NoFileExists(t, filepath.Join(dir, adoptName))
	}

	// A crash before that: half-filled new files beside the old ones.
	db, dir := openDamaged(t, before, Options{})
	require.NoError(t, db.Close())
	put(dir, FileName+stagedSuffix, []byte("half"))
	put(dir, runs.LogName+stagedSuffix, nil)
	db = openTest(t, dir, Options{})
	require.Nil(t, db.Quarantined())
	require.NoFileExists(t, filepath.Join(dir, FileName+stagedSuffix))
	require.NoFileExists(t, filepath.Join(dir, runs.LogName+stagedSuffix))
}
