package daemon

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/storage"
)

// A daemon that had to move a damaged file aside says so, also after further starts, until the
// file is removed.
func TestDamagedDatabaseIsTold(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, start(t, dir).Close())
	path := filepath.Join(dir, storage.FileName)
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<16), 0o600))

	for range 2 {
		d := start(t, dir)
		s, err := d.backend.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, s.DamagedFiles)
		require.WithinDuration(t, time.Now(), s.DamagedAt, time.Minute)
		require.Equal(t, "DATABASE DAMAGED", s.Verdict.Word)
		require.Contains(t, s.Verdict.Why, "1 damaged file was moved aside; published keys and records may be lost")
		require.Equal(t, s.DamagedAt, s.Verdict.Since)
		require.Regexp(t, "^DATABASE DAMAGED since .*; peer ", d.doing())
		_, text := fetch(t, "http://"+d.web.addr+"/metrics")
		require.Contains(t, text, "\nholdfast_db_corrupt_files 1\n")
		require.Eventually(t, func() bool { return d.Ready(t.Context()) == nil }, 10*time.Second, 10*time.Millisecond)
		code, text := fetch(t, "http://"+d.web.addr+"/readyz")
		require.Equal(t, http.StatusOK, code)
		require.Regexp(t, "^ok\nDATABASE DAMAGED since .*\n$", text)
		require.NoError(t, d.Close())
	}

	d := start(t, dir)
	aside, err := filepath.Glob(path + ".corrupt-*")
	require.NoError(t, err)
	require.Len(t, aside, 1)
	require.NoError(t, os.Remove(aside[0]))
	s, err := d.backend.Status(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, "DATABASE DAMAGED", s.Verdict.Word, "without a restart")
	_, text := fetch(t, "http://"+d.web.addr+"/metrics")
	require.Contains(t, text, "\nholdfast_db_corrupt_files 0\n")
}
