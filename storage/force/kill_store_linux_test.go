//go:build force

package force

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// generation is after how many kills a new directory is begun.
const generation = 50

// eachLayout runs a test with the provider records in the database and in sorted
// runs.
func eachLayout(t *testing.T, test func(t *testing.T, split bool)) {
	t.Run("database", func(t *testing.T) { test(t, false) })
	t.Run("runs", func(t *testing.T) { test(t, true) })
}

// TestKillStore kills a process that writes to a store, at random moments, again
// and again on the same files.
func TestKillStore(t *testing.T) {
	forced(t, 1, 1)
	eachLayout(t, killStore)
}

func killStore(t *testing.T, split bool) {
	rounds := forced(t, 12, 500)
	rng := random(t)
	var s *store
	var lines, answered, opened, checked int
	sum := func() {
		if s != nil {
			lines, answered, opened, checked = lines+s.lines, answered+s.model.answered, opened+s.opened, checked+s.checked
		}
	}
	for round := range rounds {
		if round%generation == 0 {
			sum()
			s = newStore(t, filepath.Join(t.TempDir(), "store"), split)
		}
		cmd := s.command()
		var w written
		if after := time.Duration(rng.IntN(400)) * time.Millisecond; rng.IntN(6) == 0 {
			w = s.write(cmd, func() { time.AfterFunc(after/10, cmd.kill) }, nil)
		} else {
			w = s.write(cmd, nil, func() { time.AfterFunc(after, cmd.kill) })
		}
		s.afterKill(w, rng.IntN(3) == 0)
		if rng.IntN(20) == 0 {
			s.clock += int64(rng.IntN(2)*2-1) * 48 * 3600
		}
	}
	sum()
	t.Logf("FORCE store: %d kills, %d of them of an open store, %d writes answered, %d backups: nothing lost, nothing expired served, check clean", rounds, opened, answered, checked)
}

// afterKill holds the promises against what a kill has left.
func (s *store) afterKill(w written, readOnly bool) {
	s.t.Helper()
	require.Empty(s.t, w.errors)
	if s.opened > 0 {
		s.requireSound()
	}
	s.verify(readOnly && s.opened > 0)
	s.requireSound()
	s.restore(w.backups)
}

// injected is a fault at a chosen system call.
type injected struct {
	call  string
	when  int
	fault string // signal=SIGKILL, error=EIO
}

func (i injected) String() string { return fmt.Sprintf("%s:%s:when=%d", i.call, i.fault, i.when) }

// tracer is the command before the program's own. It counts the calls of each
// thread apart, and reports nothing. With --seccomp-bpf it would be quicker, but
// then it sends no signals.
func (i injected) tracer() []string {
	return []string{"strace", "-f", "-qqq", "-o", os.DevNull, "-e", "trace=" + i.call, "-e", "inject=" + i.String()}
}

// killCalls are the calls at which processes are killed, each at its first to its
// n-th in a thread.
func killCalls(full bool) (calls []injected) {
	for _, c := range []struct {
		call  string
		n, ci int
	}{{"fdatasync", 30, 3}, {"pwrite64", 30, 3}, {"ftruncate", 6, 1}, {"fsync", 4, 1}, {"rename,renameat,renameat2", 3, 1}, {"openat", 12, 1}} {
		n := c.ci
		if full {
			n = c.n
		}
		for i := range n {
			when := i + 1
			if !full && c.n > 6 {
				when = 1 + i*7
			}
			calls = append(calls, injected{call: c.call, when: when, fault: "signal=SIGKILL"})
		}
	}
	return calls
}

// TestKillStoreAtCalls kills a writer when it enters a chosen system call: on an
// empty directory, and on one that has been in use.
func TestKillStoreAtCalls(t *testing.T) {
	forced(t, 1, 1)
	eachLayout(t, killStoreAtCalls)
}

func killStoreAtCalls(t *testing.T, split bool) {
	full := forced(t, 0, 1) == 1
	random(t)
	used := newStore(t, filepath.Join(t.TempDir(), "store"), split)
	var reached, missed []string
	for _, call := range killCalls(full) {
		fresh := newStore(t, filepath.Join(t.TempDir(), "store"), split)
		for _, s := range []*store{fresh, used} {
			cmd := s.command(call.tracer()...)
			late := false
			var timer *time.Timer
			w := s.write(cmd, nil, func() {
				timer = time.AfterFunc(2*time.Second, func() { late = true; cmd.kill() })
			})
			if timer != nil {
				timer.Stop()
			}
			if late {
				missed = append(missed, call.String())
			} else {
				reached = append(reached, call.String())
			}
			s.afterKill(w, false)
		}
	}
	t.Logf("FORCE store: killed at %d chosen calls; not reached within two seconds, killed then: %s", len(reached), strings.Join(missed, " "))
}
