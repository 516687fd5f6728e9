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

	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// generation is the number of kills after which a new directory is used.
const generation = 50

// TestKillStore kills a process that writes to a store at random moments, repeatedly on the
// same files.
func TestKillStore(t *testing.T) {
	rounds := forced(t, 12, 500)
	rng := random(t)
	var s *store
	var answered, opened, checked, flushes, merges int
	sum := func() {
		if s != nil {
			answered, opened, checked = answered+s.model.answered, opened+s.opened, checked+s.checked
			flushes, merges = flushes+s.flushes, merges+s.merges
		}
	}
	for round := range rounds {
		if round%generation == 0 {
			sum()
			s = newStore(t, filepath.Join(t.TempDir(), "store"))
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
	t.Logf("FORCE store: %d kills, %d of them of an open store, %d writes answered, %d tables written out, %d merges, %d backups: nothing lost, nothing expired served, check clean",
		rounds, opened, answered, flushes, merges, checked)
}

// afterKill checks the guarantees after a kill.
func (s *store) afterKill(w written, readOnly bool) {
	s.t.Helper()
	require.Empty(s.t, w.errors)
	if s.opened > 0 {
		requireSound(s.t, s.dir)
	}
	s.verify(readOnly && s.opened > 0)
	requireSound(s.t, s.dir)
	s.restore(w.backups)
}

// injected is a fault at a selected system call.
type injected struct {
	call  string
	when  int
	fault string // signal=SIGKILL, error=EIO
	file  string // file of the data directory that the call must refer to; empty: any
}

func (i injected) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s:%s:when=%d", i.file, i.call, i.fault, i.when))
}

// tracer returns the prefix of the program's command line. strace counts the calls of each
// thread separately and prints nothing. It would be faster with --seccomp-bpf, but then it
// sends no signals.
func (i injected) tracer(dir string) []string {
	args := []string{"strace", "-f", "-qqq", "-o", os.DevNull, "-e", "trace=" + i.call}
	if i.file != "" {
		args = append(args, "-P", filepath.Join(dir, i.file))
	}
	return append(args, "-e", fmt.Sprintf("inject=%s:%s:when=%d", i.call, i.fault, i.when))
}

// killFiles are the files of a data directory: everything except provider records, the log of
// provider records, and their runs, which are only written by flushes, merges and drops.
var killFiles = []string{storage.FileName, runs.LogName, runs.RunsName}

// killCalls are the calls at which processes are killed, each at its first to n-th occurrence
// in a thread: the calls that write to each file, and calls on any file.
func killCalls(full bool) (calls []injected) {
	add := func(call, file string, n int, steps ...int) {
		if full {
			steps = nil
			for i := range n {
				steps = append(steps, i+1)
			}
		}
		for _, when := range steps {
			calls = append(calls, injected{call: call, when: when, fault: "signal=SIGKILL", file: file})
		}
	}
	for _, file := range killFiles {
		add("fdatasync", file, 12, 1, 4)
		add("pwrite64", file, 12, 7)
	}
	add("ftruncate", "", 6, 1)
	add("fsync", "", 4, 1)
	add("rename,renameat,renameat2", "", 3)
	add("openat", "", 12, 9)
	return calls
}

// TestKillStoreAtCalls kills a writer when it enters a selected system call, in an empty
// directory and in one with data.
func TestKillStoreAtCalls(t *testing.T) {
	full := forced(t, 0, 1) == 1
	random(t)
	used := newStore(t, filepath.Join(t.TempDir(), "store"))
	var reached, missed []string
	for _, call := range killCalls(full) {
		fresh := newStore(t, filepath.Join(t.TempDir(), "store"))
		for _, s := range []*store{fresh, used} {
			cmd := s.command(call.tracer(s.dir)...)
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
