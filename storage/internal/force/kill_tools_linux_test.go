//go:build force

package force

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKillTools kills compact and restore at selected system calls. The next daemon has all
// data, from either the old files or the new ones.
func TestKillTools(t *testing.T) {
	rounds := forced(t, 2, 40)
	rng := random(t)
	h := filled(newWorld(t), rng, filepath.Join(t.TempDir(), "home"))
	backup := filepath.Join(t.TempDir(), "backup")
	d := h.start(launch{})
	out, code := command(t, h.dir, "backup", backup)
	require.Zero(t, code, out)
	d.signal(15)
	require.Zero(t, d.exited(), "%s", d.logs)
	calls := []string{"rename,renameat,renameat2", "fdatasync", "pwrite64", "fsync", "unlink,unlinkat", "openat"}
	killed := 0
	for round := range rounds {
		args := [][]string{{"compact"}, {"restore", backup}}[round%2]
		call := injected{call: calls[rng.IntN(len(calls))], when: 1 + rng.IntN(8), fault: "signal=SIGKILL"}
		line := append(append(call.tracer(h.dir), program(t)), append(args, "--data-dir", h.dir)...)
		cmd := exec.Command(line[0], line[1:]...)
		cmd.Env = append(os.Environ(), environment...)
		if err := cmd.Run(); err != nil {
			require.Equal(t, -1, cmd.ProcessState.ExitCode(), "%s %s: %v", args, call, err) // killed
			killed++
		}
		d = h.start(launch{})
		require.Zero(t, corrupt(t, h.dir), "%s %s", args, call)
		d.signal(15)
		require.Zero(t, d.exited(), "%s", d.logs)
		requireClean(t, h.dir)
	}
	t.Logf("FORCE daemon: compact and restore %d times, killed in %d of them: nothing lost, nothing moved aside, check clean", rounds, killed)
}
