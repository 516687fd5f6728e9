package storage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/storage/runs"
)

// touch creates a file of a given size, last written the given number of hours ago.
func touch(t *testing.T, path string, size, hours int) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, make([]byte, size), 0o600))
	at := time.Now().Add(-time.Duration(hours) * time.Hour)
	require.NoError(t, os.Chtimes(path, at, at))
}

// copiesByKind returns the number of copies by file name and suffix.
func copiesByKind(t *testing.T, dir string) map[string]int {
	t.Helper()
	found, err := copiesIn(dir)
	require.NoError(t, err)
	kinds := make(map[string]int)
	for _, c := range found {
		kinds[c.of+c.suffix]++
	}
	return kinds
}

// The newest copies of each file and kind are kept, however often it is repaired and
// restored.
func TestCopiesAreBounded(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{Options: runs.Options{NoSync: true}})
	require.NoError(t, err)
	var backup bytes.Buffer
	_, err = db.Backup(&backup)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	for i := range 6 { // left by older versions
		touch(t, filepath.Join(dir, fmt.Sprint(FileName, ".corrupt-", 1000+i)), 10, 100-i)
		touch(t, filepath.Join(dir, fmt.Sprint(runs.RunsName, ".replaced-", i)), 10, 100-i)
	}
	touch(t, filepath.Join(dir, FileName+".corrupted"), 10, 0) // made by the user
	for range 3 {
		old, err := Restore(dir, bytes.NewReader(backup.Bytes()), nil)
		require.NoError(t, err)
		require.FileExists(t, old)
		q, err := Repair(dir, Options{Options: runs.Options{NoSync: true}})
		require.NoError(t, err)
		for _, f := range q.Files {
			require.FileExists(t, f)
		}
	}
	kept := copiesByKind(t, dir)
	for _, name := range dbFiles {
		for _, suffix := range []string{suffixCorrupt, suffixReplaced} {
			require.Equal(t, keptCopies, kept[name+suffix], "%s%s", name, suffix)
		}
	}
	require.FileExists(t, filepath.Join(dir, FileName+".corrupted"))
	db = openTest(t, dir, Options{})
	n, size, err := db.CopiesSize()
	require.NoError(t, err)
	require.Equal(t, 2*keptCopies*len(dbFiles), n)
	require.Positive(t, size)
}

// CopiesSize counts every kind of copy, and no file with a similar name.
func TestCopiesSize(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir, Options{Options: runs.Options{NoSync: true}})
	n, size, err := db.CopiesSize()
	require.NoError(t, err)
	require.Zero(t, n)
	require.Zero(t, size)
	for i, name := range []string{
		FileName + ".corrupt-1", FileName + ".replaced", FileName + ".schema-1", runs.LogName + ".corrupt-1", runs.RunsName + ".replaced-2",
		FileName + ".corrupted", FileName + ".new", FileName + ".suspect", "other.db.corrupt-1", // not copies
	} {
		touch(t, filepath.Join(dir, name), 1<<i, 0)
	}
	t.Cleanup(func() { require.NoError(t, os.Remove(filepath.Join(dir, FileName+".suspect"))) })
	n, size, err = db.CopiesSize()
	require.NoError(t, err)
	require.Equal(t, 5, n)
	require.EqualValues(t, 0b11111, size)
}

// Damage counts only the files that were damaged. The time of the last one is that in its name,
// or that of its last change if the name has none that makes sense.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir, Options{Options: runs.Options{NoSync: true}})
	d, err := db.Damage()
	require.NoError(t, err)
	require.Zero(t, d)
	for i, name := range []string{".replaced", ".schema-1", ".corrupted"} {
		touch(t, filepath.Join(dir, FileName+name), 1, i)
	}
	for i, c := range []struct {
		name string
		last time.Time
	}{
		{FileName + ".corrupt-1700000000", time.Unix(1_700_000_000, 0)},
		{runs.LogName + ".corrupt-1700000500-1", time.Unix(1_700_000_500, 0)},
		{runs.RunsName + ".corrupt-1700000400", time.Unix(1_700_000_500, 0)},
		{FileName + fmt.Sprintf(".corrupt-%d", int64(latestMove-1)), time.Unix(latestMove-1, 0)},
		{FileName + fmt.Sprintf(".corrupt-%d", int64(latestMove)), time.Unix(latestMove-1, 0)},
		{FileName + ".corrupt-x", time.Unix(latestMove-1, 0)},
		{FileName + ".corrupt-1700000001-recovered", time.Unix(latestMove-1, 0)},
		{FileName + ".corrupt-1700000001-recovered-1", time.Unix(latestMove-1, 0)},
	} {
		touch(t, filepath.Join(dir, c.name), 1, 0)
		d, err = db.Damage()
		require.NoError(t, err)
		require.Equal(t, i+1, d.Files)
		require.True(t, c.last.Equal(d.Last), "%s: %s", c.name, d.Last)
		require.Equal(t, min(i+1, 6), d.Unrecovered, "the last two were recovered")
	}
}

// The last copy that may contain more than was recovered is kept, however many repairs follow
// that recover everything.
func TestLastUnrecoveredCopyIsKept(t *testing.T) {
	dir := t.TempDir()
	at := func(i int) string { return filepath.Join(dir, fmt.Sprint(FileName, ".corrupt-", i)) }
	add := func(path string, i int) {
		touch(t, path, 1, 100-i)
		require.NoError(t, dropCopies(dir, []string{path}))
	}
	add(at(1), 1)
	add(at(2), 2)
	for i := 3; i < 8; i++ {
		add(at(i)+markRecovered, i)
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		require.Equal(t, []string{at(2), at(i) + markRecovered}, names)
	}
	add(at(8), 8)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{at(2), at(8)}, names)
}

// dropCopies keeps the new copy whatever its modification time, and of the others the one
// written last.
func TestDropCopies(t *testing.T) {
	dir := t.TempDir()
	path := func(suffix string) string { return filepath.Join(dir, FileName+suffix) }
	touch(t, path(".corrupt-1"), 1, 3)
	touch(t, path(".corrupt-2"), 1, 1)
	touch(t, path(".corrupt-3"), 1, 2)
	touch(t, path(".corrupt-4"), 1, 9)
	touch(t, path(".replaced"), 1, 50)
	require.NoError(t, dropCopies(dir, []string{path(".corrupt-4")}))
	names, err := filepath.Glob(path(".*"))
	require.NoError(t, err)
	slices.Sort(names)
	require.Equal(t, []string{path(".corrupt-2"), path(".corrupt-4"), path(".replaced")}, names)
}
