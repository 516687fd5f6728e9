//go:build unix

package main_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPausedDaemon stops a daemon as Ctrl-Z or a debugger does: each command times out
// with the exit code for an unreachable daemon and says how long it waited. None of them
// has any effect. When the daemon continues, it answers.
func TestPausedDaemon(t *testing.T) {
	dir := t.TempDir()
	p := start(t, []string{"HOLDFAST_METRICS__LISTEN=off", "HOLDFAST_VALUES__UNVALIDATED_NAMESPACES=example"}, filepath.Join(dir, "a"), "--port", "0")
	out, code := p.holdfast("health", "--ready")
	require.Zero(t, code, "without a metrics listener: %s", out)

	require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
	defer func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }()
	require.Eventually(t, func() bool { // its threads run on until one of them has taken the signal
		var state syscall.WaitStatus
		pid, err := syscall.Wait4(p.cmd.Process.Pid, &state, syscall.WUNTRACED|syscall.WNOHANG, nil)
		return err == nil && pid == p.cmd.Process.Pid && state.Stopped()
	}, time.Minute, 10*time.Millisecond)
	var commands sync.WaitGroup
	var mu sync.Mutex
	said := map[string]string{} // by command: exit code and stderr
	for _, line := range []string{
		"status", "id", "peers", "peers --usage", "table", "provides", "republish status", "republish now", "log level", "log level debug",
		"top --count 1", "put /example/k v", "get /example/k", "unpublish /example/k", "provide x", "unprovide x", "find-providers x",
		"find-peer QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB", "closest x", "ping QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB",
		"explain get /example/k", "explain list", "backup " + dir + "/backup.tar", "debug bundle " + dir + "/bundle.tar.gz", "bench lookup --count 1",
		"health", "health --ready",
	} {
		commands.Go(func() {
			out, code := p.holdfast(strings.Fields(line)...)
			mu.Lock()
			defer mu.Unlock()
			said[line] = fmt.Sprintf("%d %s", code, out)
		})
	}
	commands.Wait()
	for line, end := range said {
		want := "does not answer: waited 15s"
		if strings.HasPrefix(line, "health") {
			want = "no answer at the admin socket within 10s: the daemon is paused"
		}
		require.True(t, strings.HasPrefix(end, "4 "), "%s: %s", line, end)
		require.Contains(t, end, want, line)
	}
	require.NoFileExists(t, filepath.Join(dir, "backup.tar"))
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
	out, code = p.holdfast("health")
	require.Zero(t, code, out)
}
