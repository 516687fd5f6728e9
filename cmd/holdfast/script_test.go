package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// rootVariable names what a script has in place of the root of the file system, so that the
// directories of systemd are its own.
const rootVariable = "TEST_ROOT"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"holdfast": func() { os.Exit(execute(os.Getenv(rootVariable))) },
	})
}

// TestScripts runs the command line as its users do. Beside testscript's own
// commands there are:
//
//	code N COMMAND...             COMMAND exits with N; stdout and stderr follow
//	start NAME TEXT COMMAND...    COMMAND runs until TEXT is in a line of its output;
//	                              $NAME_ADDR, $NAME_LISTEN (without the peer ID),
//	                              $NAME_PORT and $NAME_ID are where it listens
//	term NAME                     it exits with 0 on SIGTERM, within ten seconds
//	sigkill NAME                  it is killed
//	interrupt NAME N [GLOB]       it exits with N on SIGINT, sent once a file of GLOB exists
//	hup NAME                      it gets SIGHUP
//	output NAME TEXT              it prints a line with TEXT soon
//	until TEXT COMMAND...         COMMAND is run until its stdout contains TEXT
//	keys N FILE                   writes N keys to FILE, one per line
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("HOLDFAST_METRICS__LISTEN", "off")
			e.Setenv(rootVariable, e.WorkDir)
			e.Values[processesKey] = &processes{env: e.Vars, dir: e.WorkDir, running: map[string]*running{}}
			return os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": scriptCode, "start": scriptStart, "term": scriptTerm, "sigkill": scriptSigkill, "interrupt": scriptInterrupt, "hup": scriptHUP, "output": scriptOutput,
			"until": scriptUntil, "keys": scriptKeys,
		},
	})
}

// scriptPatience bounds each wait of a script.
const scriptPatience = 30 * time.Second

type key int

const processesKey key = 0

// processes are the processes that a script has started.
type processes struct {
	env     []string
	dir     string
	running map[string]*running
}

type running struct {
	cmd  *exec.Cmd
	path string // of the file that takes its output
}

func scriptCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	have := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		have = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(have) != args[0] {
		ts.Fatalf("exit code %d, want %s", have, args[0])
	}
}

func scriptStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: start NAME TEXT COMMAND...")
	}
	ps := ts.Value(processesKey).(*processes)
	name, text := args[0], args[1]
	file := filepath.Join(ps.dir, name+".out")
	out, err := os.Create(file)
	ts.Check(err)
	cmd := exec.Command("holdfast", args[3:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = ps.dir, ps.env, out, out
	ts.Check(cmd.Start())
	out.Close()
	p := &running{cmd: cmd, path: file}
	ps.running[name] = p
	ts.Defer(func() { p.kill() })
	if text != "" {
		p.await(ts, text)
	}
	data, err := os.ReadFile(file)
	ts.Check(err)
	for line := range strings.SplitSeq(string(data), "\n") {
		if addr, id, ok := strings.Cut(line, "/p2p/"); ok && strings.HasPrefix(addr, "/ip4/127.0.0.1/tcp/") {
			ts.Setenv(name+"_ADDR", line)
			ts.Setenv(name+"_ID", id)
			ts.Setenv(name+"_LISTEN", addr)
			ts.Setenv(name+"_PORT", path.Base(addr))
		}
	}
}

// await waits until a line of the output contains text.
func (p *running) await(ts *testscript.TestScript, text string) {
	f, err := os.Open(p.path)
	ts.Check(err)
	defer f.Close()
	deadline := time.Now().Add(scriptPatience)
	lines := bufio.NewReader(f)
	for line := ""; ; {
		part, err := lines.ReadString('\n')
		if line += part; err == nil {
			if strings.Contains(line, text) {
				return
			}
			line = ""
			continue
		}
		if !errors.Is(err, io.EOF) || time.Now().After(deadline) {
			ts.Fatalf("%q did not appear in %s: %v\n%s", text, p.path, err, ts.ReadFile(p.path))
		}
		pause()
	}
}

// pause lets other processes run.
func pause() { <-time.After(10 * time.Millisecond) }

func (p *running) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

func scriptProcess(ts *testscript.TestScript, name string) *running {
	p := ts.Value(processesKey).(*processes).running[name]
	if p == nil {
		ts.Fatalf("%s was not started", name)
	}
	return p
}

func scriptTerm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: term NAME")
	}
	scriptProcess(ts, args[0]).end(ts, syscall.SIGTERM, 0)
}

// end sends a signal and requires that the process exits with a code within ten seconds.
func (p *running) end(ts *testscript.TestScript, s os.Signal, code int) {
	ts.Check(p.cmd.Process.Signal(s))
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	select {
	case <-ended:
		if have := p.cmd.ProcessState.ExitCode(); have != code {
			ts.Fatalf("%s: exit code %d, want %d\n%s", p.path, have, code, ts.ReadFile(p.path))
		}
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-ended
		ts.Fatalf("%s did not stop within ten seconds\n%s", p.path, ts.ReadFile(p.path))
	}
}

func scriptInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: interrupt NAME N [GLOB]")
	}
	code, err := strconv.Atoi(args[1])
	ts.Check(err)
	p := scriptProcess(ts, args[0])
	for deadline := time.Now().Add(scriptPatience); len(args) == 3; pause() {
		if there, err := filepath.Glob(ts.MkAbs(args[2])); err != nil || len(there) > 0 {
			ts.Check(err)
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s did not appear\n%s", args[2], ts.ReadFile(p.path))
		}
	}
	p.end(ts, os.Interrupt, code)
}

func scriptSigkill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sigkill NAME")
	}
	scriptProcess(ts, args[0]).kill()
}

func scriptHUP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hup NAME")
	}
	ts.Check(scriptProcess(ts, args[0]).cmd.Process.Signal(syscall.SIGHUP))
}

func scriptOutput(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: output NAME TEXT")
	}
	scriptProcess(ts, args[0]).await(ts, args[1])
}

// scriptUntil runs a command until its standard output contains a text.
func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until TEXT COMMAND...")
	}
	for deadline := time.Now().Add(scriptPatience); ; pause() {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%q did not appear", args[0])
		}
	}
}

// scriptKeys writes a file of keys.
func scriptKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keys N FILE")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var lines bytes.Buffer
	for i := range n {
		fmt.Fprintf(&lines, "content %d\n", i)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), lines.Bytes(), 0o600))
}
