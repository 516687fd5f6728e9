//go:build force

package force

import (
	"os/exec"
	"sync"
	"syscall"
)

// victim is a process that is to be killed, with whoever traces it.
type victim struct {
	*exec.Cmd

	mu     sync.Mutex
	reaped bool
}

// newVictim makes a process the leader of a group of its own.
func newVictim(args ...string) *victim {
	v := &victim{Cmd: exec.Command(args[0], args[1:]...)}
	v.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return v
}

// kill kills the process and its tracer, if they still run.
func (v *victim) kill() { v.signal(syscall.SIGKILL) }

func (v *victim) signal(s syscall.Signal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.Process != nil && !v.reaped {
		_ = syscall.Kill(-v.Process.Pid, s)
	}
}

// reap waits for the end of a process that has closed its output, after which its
// number may be another's.
func (v *victim) reap() {
	v.mu.Lock()
	v.reaped = true
	v.mu.Unlock()
	_ = v.Wait()
}
