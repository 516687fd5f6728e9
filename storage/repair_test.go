package storage

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// TestRepairDamaged checks that a repair leaves sound files in place and counts everything that
// the store has afterwards.
func TestRepairDamaged(t *testing.T) {
	whole := fill(t)
	for file, moved := range map[string][]string{
		FileName:      {FileName},
		runs.LogName:  providerFiles,
		runs.RunsName: providerFiles,
	} {
		dir := t.TempDir()
		damaged := whole.with(file, whole[file][:len(whole[file])/2])
		for name, b := range damaged {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		}
		q, err := RepairDamaged(dir, Options{Options: runs.Options{NoSync: true}})
		require.NoError(t, err)
		require.True(t, q.Incomplete, file)
		require.Len(t, q.Files, len(moved), file)
		for i, name := range moved {
			require.Contains(t, filepath.Base(q.Files[i]), name+suffixCorrupt)
			left, err := os.ReadFile(q.Files[i])
			require.NoError(t, err)
			require.True(t, bytes.Equal(left, damaged[name]), name)
		}
		r, err := Check(dir, nil)
		require.NoError(t, err)
		require.True(t, r.OK(), r.Problems)
		require.Equal(t, r.Records, q.Records)
		require.Equal(t, r.Published, q.Published)
		require.Positive(t, q.Records[records.KindValue])

		q, err = RepairDamaged(dir, Options{Options: runs.Options{NoSync: true}})
		require.NoError(t, err)
		require.Nil(t, q, "nothing is damaged any more")
	}
}
