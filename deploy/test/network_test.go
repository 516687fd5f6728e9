package deploytest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// binaryEnv is the path of the built program; without it the tests that need it are skipped.
const binaryEnv = "HOLDFAST_BIN"

// settings make every background task run within seconds.
var settings = []string{
	"HOLDFAST_NETWORK__PROTOCOL_PREFIX=/holdfast-watched",
	"HOLDFAST_STORAGE__EXPIRY_INTERVAL=1s",
	"HOLDFAST_SNAPSHOT__INTERVAL=1s",
	"HOLDFAST_REPUBLISH__INTERVAL=5s",
	"HOLDFAST_REFRESH__INTERVAL=5s",
	"HOLDFAST_LOG__FORMAT=text",
}

// anyLocal is any free port on loopback.
const anyLocal = "127.0.0.1:0"

// process is a running program whose output is kept.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended
	logs logs
}

// logs is the output of a program. Safe for concurrent use.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// spawn starts a program and kills it at the end of the test.
func spawn(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	cmd.Stderr = &p.logs
	if cmd.Stdout == nil {
		cmd.Stdout = &p.logs
	}
	require.NoError(t, cmd.Start())
	go func() { _ = cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("---- %s\n%s", name, p.logs.String())
		}
	})
	return p
}

// kill kills the program and waits for it. It may be called again.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// daemon is a node of the network.
type daemon struct {
	*process
	t       testing.TB
	dir     string
	id      string
	listen  []string // on loopback: TCP, QUIC
	metrics string   // host:port
}

// anyPort are the addresses of a node that has not run before.
var anyPort = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}

// serve starts a node in dir and waits until it is ready.
func serve(t testing.TB, dir, metrics string, listen []string, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: dir}
	args = append([]string{"serve", "--data-dir", dir, "--namespace", "example"}, args...)
	for _, addr := range listen {
		args = append(args, "--listen", addr)
	}
	cmd := exec.Command(os.Getenv(binaryEnv), args...)
	cmd.Env = append(append(os.Environ(), settings...), "HOLDFAST_METRICS__LISTEN="+metrics)
	out, in, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout = in
	d.process = spawn(t, filepath.Base(dir), cmd)
	in.Close()
	defer out.Close()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "Peer ID: "):
			d.id = strings.TrimPrefix(line, "Peer ID: ")
		case strings.HasPrefix(line, "/ip4/127.0.0.1/"):
			addr, _, _ := strings.Cut(line, "/p2p/")
			d.listen = append(d.listen, addr)
		case line == "Ready":
			d.metrics = d.status().Metrics
			return d
		}
	}
	require.Fail(t, "the daemon did not start")
	return nil
}

// addr returns the node's TCP address with its peer ID.
func (d *daemon) addr() string { return d.listen[0] + "/p2p/" + d.id }

// status is a part of the output of `holdfast status --json`.
type status struct {
	Metrics  string `json:"metrics_addr"`
	Verified int    `json:"verified_peers"`
}

func (d *daemon) status() (s status) {
	d.t.Helper()
	out, err := d.do("status", "--json")
	require.NoError(d.t, err)
	require.NoError(d.t, json.Unmarshal(out, &s))
	return s
}

// do runs a command against the node.
func (d *daemon) do(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Getenv(binaryEnv), append(args, "--data-dir", d.dir)...)
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: holdfast %s: %w", d.name, strings.Join(args, " "), err)
	}
	return out, nil
}

// network is a network of nodes, and one node without peers.
type network struct {
	t     testing.TB
	nodes []*daemon
	alone *daemon // has no peers
}

// newNetwork starts n connected nodes, and one without peers.
func newNetwork(t testing.TB, n int) *network {
	t.Helper()
	dir := t.TempDir()
	w := &network{t: t}
	for i := range n {
		args := []string{"--namespace", "rare"}
		if i > 0 {
			args = []string{"--bootstrap", w.nodes[0].addr()}
		}
		w.nodes = append(w.nodes, serve(t, filepath.Join(dir, string(rune('a'+i))), anyLocal, anyPort, args...))
	}
	config := filepath.Join(dir, "alone.toml")
	require.NoError(t, os.WriteFile(config, nil, 0o644))
	w.alone = serve(t, filepath.Join(dir, "alone"), anyLocal, anyPort, "--config", config)
	for _, d := range w.nodes {
		w.eventually(func() bool { return d.status().Verified == n-1 }, "%s does not know the others", d.name)
	}
	return w
}

// patience is how long tests wait for a condition at most.
const patience = 60 * time.Second

func (w *network) eventually(ok func() bool, format string, args ...any) {
	w.t.Helper()
	require.Eventually(w.t, ok, patience, 100*time.Millisecond, append([]any{format}, args...)...)
}

// rareRounds is the number of rounds per record that every peer refuses: often enough to
// appear in the metrics, too rare for the alert on failing lookups.
const rareRounds = 10

// round makes the nodes do one of each operation.
func (w *network) round(i int) {
	n := len(w.nodes)
	from, to := w.nodes[i%n], w.nodes[(i+1)%n]
	key := fmt.Sprintf("/example/%d", i)
	content := fmt.Sprintf("content %d", i)
	// Some of them must fail. The test checks what Prometheus sees.
	_, _ = from.do("put", "--ttl", "2s", key, "soon gone")
	_, _ = to.do("get", key)
	_, _ = to.do("get", key+"-missing")
	_, _ = from.do("put", key+"-kept", "republished")
	_, _ = from.do("provide", content)
	_, _ = to.do("find-providers", content)
	_, _ = to.do("find-peer", from.id)
	_, _ = from.do("closest", key)
	_, _ = from.do("ping", to.id)
	if i%rareRounds == 0 {
		_, _ = w.nodes[0].do("put", "--ttl", "2s", fmt.Sprintf("/rare/%d", i), "only the first node takes it")
	}
}

// crash kills the last node, makes the first one search for it, and starts it again on
// the same directory and addresses.
func (w *network) crash() {
	last := len(w.nodes) - 1
	old := w.nodes[last]
	old.kill()
	_, _ = w.nodes[0].do("ping", "--timeout", "2s", old.addr())
	w.nodes[last] = serve(w.t, old.dir, old.metrics, old.listen, "--bootstrap", w.nodes[0].addr())
}

// refuseReload reloads an invalid configuration on the node without peers.
func (w *network) refuseReload() {
	config := filepath.Join(filepath.Dir(w.alone.dir), "alone.toml")
	require.NoError(w.t, os.WriteFile(config, []byte("no_such_key = 1\n"), 0o644))
	require.NoError(w.t, w.alone.cmd.Process.Signal(syscall.SIGHUP))
}
