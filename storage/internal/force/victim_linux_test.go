//go:build force

package force

import (
	"os/exec"
	"sync"
	"syscall"
)

// victim is a process that will be killed, including its tracer.
type victim struct {
	*exec.Cmd

	mu     sync.Mutex
	reaped bool
}

// newVictim makes a process the leader of its own process group.
func newVictim(args ...string) *victim {
	v := &victim{Cmd: exec.Command(args[0], args[1:]...)}
	v.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return v
}

// kill kills the process and its tracer if they are still running.
func (v *victim) kill() { v.signal(syscall.SIGKILL) }

func (v *victim) signal(s syscall.Signal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.Process != nil && !v.reaped {
		_ = syscall.Kill(-v.Process.Pid, s)
	}
}

// reap waits for the exit of a process that has closed its output. Afterwards its PID may be
// reused.
func (v *victim) reap() {
	v.mu.Lock()
	v.reaped = true
	v.mu.Unlock()
	_ = v.Wait()
}
