package storage

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// fillMuch writes some thousand records of each kind and closes the store.
func fillMuch(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	db, err := Open(dir, Options{Options: runs.Options{NoSync: true, MaxPending: 1 << 20}})
	require.NoError(t, err)
	var own []records.Published
	for i := range 5000 {
		v := records.Value{Key: wideKey(i), Value: make([]byte, 500), Expires: start.Add(time.Hour)}
		require.NoError(t, db.PutValue(start, v, nil))
		own = append(own, records.Published{Key: wideKey(i), Added: start, Due: start})
	}
	require.NoError(t, db.Publish(own...))
	for i := range 60_000 {
		provide(t, db, start, string(wideKey(i%40_000)), "p", time.Duration(i%3+1)*time.Hour, false)
		if i%20_000 == 19_999 && i < 50_000 {
			require.NoError(t, db.providers.Rotate())
		}
	}
	d := db.Datastore()
	batch, err := d.Batch(t.Context())
	require.NoError(t, err)
	for i := range 3000 {
		require.NoError(t, batch.Put(t.Context(), ds.NewKey(string(wideKey(i))), []byte("row")))
	}
	require.NoError(t, batch.Commit(t.Context()))
	require.NoError(t, db.Close())
	return dir
}

// progressLog contains the steps of an operation in the order in which they began, and the last
// report of each.
type progressLog struct {
	steps []string
	calls int
	last  map[string]Progress
}

// listen returns a Progress function that checks the guarantees of the reports it receives.
func listen(t *testing.T) (*progressLog, func(Progress)) {
	reports := &progressLog{last: make(map[string]Progress)}
	return reports, func(p Progress) {
		reports.calls++
		before, known := reports.last[p.Step]
		if !known {
			reports.steps = append(reports.steps, p.Step)
		} else if p.Done != 0 { // otherwise the turn of another file
			require.GreaterOrEqual(t, p.Done, before.Done, "%+v after %+v", p, before)
			require.Equal(t, before.Total, p.Total)
		}
		if p.Total > 0 {
			require.LessOrEqual(t, p.Done, p.Total, "%+v", p)
		}
		reports.last[p.Step] = p
	}
}

// requireDone requires that each step ended at its total, if it was known.
func (h *progressLog) requireDone(t *testing.T) {
	t.Helper()
	for _, step := range h.steps {
		if p := h.last[step]; p.Total > 0 {
			require.Equal(t, p.Total, p.Done, "%+v", p)
		}
	}
}

// stepsOf returns the steps that check every page of a file.
func stepsOf(name string) []string { return []string{"reading " + name, "checking pages of " + name} }

func withBbolt(name string) string {
	return "checking " + name + " with bbolt, which does not report progress"
}

const loading = "loading filters and the log of provider records"

func TestProgressOfCheck(t *testing.T) {
	dir := fillMuch(t)
	reports, progress := listen(t)
	r, err := Check(dir, progress)
	require.NoError(t, err)
	require.Empty(t, r.Problems)
	reports.requireDone(t)
	var want []string
	for _, name := range dbFiles {
		want = append(want, stepsOf(name)...)
	}
	want = append(want, loading, withBbolt(FileName),
		"checking values and their expiry index", "checking published keys", "checking rows of the datastore", "adding up the accounts of values",
		withBbolt(runs.LogName), withBbolt(runs.RunsName),
		"checking providers", "checking provider records", "counting provider records")
	require.Equal(t, want, reports.steps)
	for step, total := range map[string]int64{
		"checking values and their expiry index": 2 * 5000, "checking published keys": 5000,
		"adding up the accounts of values": 5000, "checking providers": 1,
	} {
		require.Equal(t, Progress{Step: step, Done: total, Total: total}, reports.last[step])
	}
	copies := reports.last["checking provider records"].Total
	require.Equal(t, copies, reports.last["counting provider records"].Total)
	require.GreaterOrEqual(t, copies, int64(40_000))
	require.Greater(t, reports.last["checking rows of the datastore"].Done, int64(0))
	size := fileLen(t, dir, FileName)
	require.Equal(t, Progress{Step: "reading " + FileName, Done: size, Total: size, Bytes: true}, reports.last["reading "+FileName])
}

func fileLen(t *testing.T, dir, name string) int64 {
	t.Helper()
	size, err := fileSize(filepath.Join(dir, name))
	require.NoError(t, err)
	return size
}

func TestProgressOfRepair(t *testing.T) {
	dir := fillMuch(t)
	reports, progress := listen(t)
	q, err := Repair(dir, Options{Options: runs.Options{NoSync: true, Progress: progress}})
	require.NoError(t, err)
	require.False(t, q.Incomplete)
	reports.requireDone(t)
	sound := func(name string) string { return "repairing " + name + ": reading what is sound" }
	require.Equal(t, []string{sound(FileName), loading, sound(runs.LogName), sound(runs.RunsName), "repairing: writing provider records of the log"}, reports.steps)
	require.Equal(t, reports.last[sound(FileName)].Total, pagesBytes(t, q.Files[0]))
	requireSound(t, dir)
}

// Where pages are lost, all pages are searched.
func TestProgressOfRepairWithoutARoot(t *testing.T) {
	dir := fillMuch(t)
	lost := map[string][]string{FileName: {"published keys", "snapshots", "values"}, runs.RunsName: {"provider records"}}
	for name := range lost {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		clear(b[:2*os.Getpagesize()]) // the meta pages
		require.NoError(t, os.WriteFile(path, b, 0o600))
	}
	reports, progress := listen(t)
	_, err := Repair(dir, Options{Options: runs.Options{NoSync: true, Progress: progress}})
	require.NoError(t, err)
	reports.requireDone(t)
	for name := range lost {
		for _, what := range lost[name] {
			step := "repairing " + name + ": searching all pages for lost " + what
			require.Contains(t, reports.steps, step)
			require.Positive(t, reports.last[step].Total)
		}
	}
	requireSound(t, dir)
}

// pagesBytes returns the bytes of the pages of a file that were ever used.
func pagesBytes(t *testing.T, path string) int64 {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var size int64
	require.NoError(t, db.View(func(tx *bbolt.Tx) error { size = tx.Size(); return nil }))
	return size
}

func TestProgressOfCompact(t *testing.T) {
	dir := fillMuch(t)
	reports, progress := listen(t)
	_, _, err := Compact(dir, progress)
	require.NoError(t, err)
	reports.requireDone(t)
	var want []string
	for _, name := range dbFiles {
		want = append(append(want, stepsOf(name)...), "compacting "+name, "syncing "+name+" to disk")
		require.Positive(t, reports.last["compacting "+name].Total)
	}
	require.Equal(t, want, reports.steps)
	requireSound(t, dir)
}

func TestProgressOfRestore(t *testing.T) {
	db := openTest(t, fillMuch(t), Options{})
	var backup bytes.Buffer
	_, err := db.Backup(&backup)
	require.NoError(t, err)
	reports, progress := listen(t)
	dir := t.TempDir()
	_, err = Restore(dir, &backup, progress)
	require.NoError(t, err)
	reports.requireDone(t)
	for _, name := range dbFiles {
		for _, step := range stepsOf(name + stagedSuffix) {
			require.Contains(t, reports.steps, step)
		}
	}
	requireSound(t, dir)
}

// Each page is checked once, and progress is not reported more often than once per megabyte
// or 4,096 records.
func TestProgressIsBounded(t *testing.T) {
	dir := fillMuch(t)
	reports, progress := listen(t)
	_, err := Check(dir, progress)
	require.NoError(t, err)
	most := 0
	for _, step := range reports.steps {
		every := int64(4096)
		if reports.last[step].Bytes {
			every = 1 << 20
		}
		most += 2 + int(reports.last[step].Done/every) // and at its beginning and end
	}
	require.LessOrEqual(t, reports.calls, most+1) // the provider records are loaded twice
}
