//go:build force

package force

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// environment is the environment of every daemon: a private network that accepts any value
// under /example/, maintenance every second, and a store so small that its tables of provider
// records are soon full and written out.
var environment = []string{
	"HOLDFAST_NETWORK__PROTOCOL_PREFIX=" + prefix,
	"HOLDFAST_VALUES__UNVALIDATED_NAMESPACES=example",
	"HOLDFAST_METRICS__LISTEN=127.0.0.1:0",
	"HOLDFAST_SNAPSHOT__INTERVAL=1s",
	"HOLDFAST_STORAGE__EXPIRY_INTERVAL=1s",
	"HOLDFAST_STORAGE__MAX_BYTES=32MiB",
	"HOLDFAST_QUOTAS__VALUES_SIZE=32MiB", // a few peers write all values
	"HOLDFAST_QUOTAS__VALUES_SIZE_PER_PEER=32MiB",
}

// shortLived is added if provider records must expire, and own ones be republished, during
// the test.
var shortLived = []string{
	fmt.Sprint("HOLDFAST_STORAGE__PROVIDER_TTL=", shortTTL),
	fmt.Sprint("HOLDFAST_REPUBLISH__INTERVAL=", shortTTL/2),
}

const (
	prefix   = "/holdfast-force"
	shortTTL = 20 * time.Second
	longTTL  = 48 * time.Hour
)

// daemon is a running `holdfast serve`.
type daemon struct {
	*victim
	t     *testing.T
	dir   string
	id    string
	addr  string // TCP on loopback, including the peer ID
	api   *api.Client
	logs  *tail
	ready bool
	ended chan struct{} // closed when the daemon has closed its output
	at    time.Time     // time of ended; read only after ended
}

// launch contains the options of a start.
type launch struct {
	program string // a program other than the default
	tracer  []string
	env     []string
	args    []string
	listen  string // an address other than any port of 127.0.0.1
	// killAfter, if positive, kills the daemon this long after its start, ready or not.
	killAfter time.Duration
}

// serve starts a daemon in a directory and waits until it is ready or has exited.
func serve(t *testing.T, dir string, l launch) *daemon {
	t.Helper()
	if l.program == "" {
		l.program = program(t)
	}
	if l.listen == "" {
		l.listen = "/ip4/127.0.0.1/tcp/0"
	}
	args := append(append([]string(nil), l.tracer...), l.program, "serve", "--data-dir", dir, "--listen", l.listen)
	d := &daemon{
		victim: newVictim(append(args, l.args...)...), t: t, dir: dir, logs: &tail{}, ended: make(chan struct{}),
		api: api.NewClient(filepath.Join(dir, "holdfast.sock")),
	}
	d.Env = append(append(os.Environ(), environment...), l.env...)
	d.Stderr = d.logs
	out, err := d.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, d.Start())
	t.Cleanup(d.end)
	if l.killAfter > 0 {
		time.AfterFunc(l.killAfter, d.kill)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "Peer ID: "):
			d.id = strings.TrimPrefix(line, "Peer ID: ")
		case strings.HasPrefix(line, "/ip4/127.0.0.1/tcp/"):
			d.addr = line
		case line == "Ready":
			d.ready = true
			go func() { _, _ = io.Copy(io.Discard, out); d.hasEnded() }()
			return d
		}
	}
	d.hasEnded()
	return d
}

func (d *daemon) hasEnded() {
	d.at = time.Now()
	close(d.ended)
}

// end kills the daemon and waits for its exit.
func (d *daemon) end() {
	d.kill()
	<-d.ended
	d.mu.Lock()
	reaped := d.reaped
	d.mu.Unlock()
	if !reaped {
		d.reap()
	}
	d.api.Close()
}

// exited waits until the daemon exits by itself and returns its exit code.
func (d *daemon) exited() int {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.t.Fatalf("the daemon does not exit: %s", d.logs)
	}
	d.reap()
	return d.ProcessState.ExitCode()
}

// requireReady fails the test if the daemon did not start.
func (d *daemon) requireReady() {
	d.t.Helper()
	require.True(d.t, d.ready, "the daemon did not start: %s", d.logs)
}

func (d *daemon) status() (s api.Status, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return d.api.Status(ctx)
}

// metric returns the sum of a metric over its labels.
func (d *daemon) metric(name string) (sum float64) {
	d.t.Helper()
	s, err := d.status()
	require.NoError(d.t, err)
	resp, err := http.Get("http://" + s.MetricsAddr + "/metrics")
	require.NoError(d.t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok && (rest[0] == ' ' || rest[0] == '{') {
			v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
			require.NoError(d.t, err)
			sum += v
		}
	}
	return sum
}

// healthy returns the result of /healthz.
func (d *daemon) healthy() bool {
	d.t.Helper()
	s, err := d.status()
	require.NoError(d.t, err)
	resp, err := http.Get("http://" + s.MetricsAddr + "/healthz")
	require.NoError(d.t, err)
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// page returns a page of the metrics listener.
func (d *daemon) page(path string) (code int, body string) {
	d.t.Helper()
	s, err := d.status()
	require.NoError(d.t, err)
	resp, err := http.Get("http://" + s.MetricsAddr + path)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	return resp.StatusCode, string(b)
}

// command runs the program on a directory.
func command(t *testing.T, dir string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(program(t), append(args, "--data-dir", dir)...)
	cmd.Env = append(os.Environ(), environment...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// requireClean runs `holdfast check`.
func requireClean(t *testing.T, dir string) {
	t.Helper()
	out, code := command(t, dir, "check", "--json")
	require.Zero(t, code, out)
	out = strings.TrimSpace(out)
	last := out[strings.LastIndex(out, "\n")+1:] // a check that takes long shows its progress before
	var report struct{ OK bool }
	require.NoError(t, json.Unmarshal([]byte(last), &report), out)
	require.True(t, report.OK, out)
}

// tail keeps the last part of what is written to it. Safe for concurrent use.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const maxTail = 64 << 10

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if extra := w.buf.Len() - maxTail; extra > 0 {
		w.buf.Next(extra)
	}
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
