package interop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// line is one line of a child process's output.
type line struct {
	at   time.Time
	text string
}

// proc is a child process; stdout and stderr are read line by line. Safe for concurrent use.
type proc struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{} // closed once the process has ended and its output is read
	start time.Time

	mu      sync.Mutex
	lines   []line
	changed chan struct{} // closed and replaced at every line
	err     error         // of Wait, valid after done
}

// start runs a program in dir. At the end of the test it is killed, with
// everything it started; its output is shown if the test failed.
func start(t testing.TB, name, dir string, env []string, program string, args ...string) *proc {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &proc{t: t, name: name, cmd: cmd, done: make(chan struct{}), changed: make(chan struct{})}
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	p.stdin, err = cmd.StdinPipe()
	require.NoError(t, err)
	p.start = time.Now()
	require.NoError(t, cmd.Start(), "%s: %s", name, program)

	var readers sync.WaitGroup
	readers.Go(func() { p.read(stdout) })
	readers.Go(func() { p.read(stderr) })
	go func() {
		readers.Wait()
		err := cmd.Wait()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("---- output of %s (%s)\n%s", name, strings.Join(cmd.Args, " "), p.output())
		}
	})
	return p
}

func (p *proc) read(r io.Reader) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, line{time.Now(), sc.Text()})
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
	io.Copy(io.Discard, r) // a line over 1 MiB: keep the child from blocking
}

// find returns the first line that matches, and its submatches.
func (p *proc) find(re *regexp.Regexp) (line, []string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if m := re.FindStringSubmatch(l.text); m != nil {
			return l, m, nil
		}
	}
	return line{}, nil, p.changed
}

// waitFor waits until a line matches pattern; it returns the submatches and the
// time from the start of the process to that line.
func (p *proc) waitFor(pattern string, limit time.Duration) ([]string, time.Duration) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(limit)
	for {
		l, m, changed := p.find(re)
		if m != nil {
			return m, l.at.Sub(p.start)
		}
		select {
		case <-changed:
		case <-p.done:
			if l, m, _ := p.find(re); m != nil {
				return m, l.at.Sub(p.start)
			}
			p.t.Fatalf("%s ended without printing %q", p.name, pattern)
		case <-deadline:
			p.t.Fatalf("%s printed no %q within %s", p.name, pattern, limit)
		}
	}
}

// has reports whether a line printed so far matches.
func (p *proc) has(pattern string) bool {
	_, m, _ := p.find(regexp.MustCompile(pattern))
	return m != nil
}

// kill ends the process with SIGKILL and waits. Idempotent.
func (p *proc) kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

func (p *proc) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, l := range p.lines {
		fmt.Fprintf(&b, "%7.3f %s\n", l.at.Sub(p.start).Seconds(), l.text)
	}
	return b.String()
}

// run runs a program until it exits, and returns its exit code, stdout and stderr.
func run(t testing.TB, dir string, env []string, program string, args ...string) (int, string, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %s did not end within 2 minutes\n%s", program, strings.Join(args, " "), stderr.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}
