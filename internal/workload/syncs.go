package workload

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// errNoTracer is returned by countSyncs if strace is not available.
var errNoTracer = errors.New("no strace")

// countSyncs returns how many fsyncs and fdatasyncs this process made during fn. It attaches
// strace meanwhile, which slows fn down, so that fn must not measure anything else.
func countSyncs(fn func() error) (n int64, err error) {
	path, err := exec.LookPath("strace")
	if err != nil {
		return 0, errNoTracer
	}
	dir, err := os.MkdirTemp("", "syncs")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "calls")
	cmd := exec.Command(path, "-f", "-c", "-o", out, "-e", "trace=fsync,fdatasync", "-p", strconv.Itoa(os.Getpid()))
	if err := attach(cmd); err != nil {
		return 0, err
	}
	err = fn()
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait() // it dies of the signal after writing its table
	table, readErr := os.ReadFile(out)
	if err = errors.Join(err, readErr); err != nil {
		return 0, err
	}
	return sumCalls(string(table)), nil
}

// attach starts strace and waits until it has attached to this process.
func attach(cmd *exec.Cmd) error {
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return errNoTracer
	}
	attached := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(pipe)
		ok := lines.Scan() && strings.Contains(lines.Text(), "attached")
		attached <- ok
		for lines.Scan() { // drain the pipe so that strace does not block
		}
	}()
	select {
	case ok := <-attached:
		if ok {
			return nil
		}
	case <-time.After(5 * time.Second):
		_ = cmd.Process.Kill()
	}
	_ = cmd.Wait()
	return errNoTracer // most containers do not permit it
}

// sumCalls adds up the calls in strace's table: percent, seconds, usecs, calls,
// errors if any, name.
func sumCalls(table string) (n int64) {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 5 || !strings.Contains(f[len(f)-1], "sync") {
			continue
		}
		calls, _ := strconv.ParseInt(f[3], 10, 64)
		n += calls
	}
	return n
}
