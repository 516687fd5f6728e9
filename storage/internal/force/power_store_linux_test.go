//go:build force

package force

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/storage"
)

// modes are the mount options of the power cuts, in turn. In the second mode, data may reach
// the disk after the metadata that refers to it.
var modes = []string{"", "data=writeback", "noauto_da_alloc"}

// TestPowerStore cuts the power under a process that writes to a store, repeatedly on the
// same file system.
func TestPowerStore(t *testing.T) {
	rounds := forced(t, 5, 50)
	rng := random(t)
	d := newDisk(t, 512)
	s := newStore(t, filepath.Join(d.dir, "store"))
	refused := 0
	for round := range rounds {
		cmd := s.command()
		after := time.Duration(rng.IntN(600)) * time.Millisecond
		w := s.write(cmd, nil, func() {
			time.AfterFunc(after, func() {
				d.cutPower()
				time.AfterFunc(time.Duration(rng.IntN(80))*time.Millisecond, cmd.kill)
			})
		})
		require.True(t, w.opened, "%v", w.errors)
		refused += len(w.errors)
		d.unmount()
		d.mount(modes[round%len(modes)])
		w.errors, w.backups = nil, nil
		s.afterKill(w, rng.IntN(3) == 0)
	}
	t.Logf("FORCE store: %d power cuts, %d writes answered, %d failed after the cut, %d tables written out, %d merges: nothing lost, nothing expired served, check clean",
		rounds, s.model.answered, refused, s.flushes, s.merges)
}

// TestPowerSeen cuts the power under a writer without fsync, to show that the tests above
// would detect the loss.
func TestPowerSeen(t *testing.T) {
	forced(t, 1, 1)
	d := newDisk(t, 512)
	s := newStore(t, filepath.Join(d.dir, "store"))
	cmd := s.command()
	cmd.Env = append(cmd.Env, noSyncEnv+"=1")
	s.write(cmd, nil, func() { time.AfterFunc(time.Second, func() { d.cutPower(); cmd.kill() }) })
	d.unmount()
	d.mount("")
	db, err := storage.Open(s.dir, storeOptions())
	require.NoError(t, err, "a store always starts")
	wrong := s.compare(db)
	require.NoError(t, db.Close())
	require.NotEmpty(t, wrong)
	t.Logf("FORCE store: without fsync a power cut loses %d things of %d writes answered", len(wrong), s.model.answered)
}
