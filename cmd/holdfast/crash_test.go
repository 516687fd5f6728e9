package main_test

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

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// patience bounds waits for what must happen soon. No test waits that long if it passes.
const patience = 90 * time.Second

// binary builds the program once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "holdfast-bin")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "holdfast")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// process is a running daemon.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	env  []string
	id   string
	addr string // TCP on loopback, with the peer ID
	logs *bytes.Buffer

	stdin []byte // of the next commands
}

// testNetwork is the environment of a private network that accepts any value under
// /example/.
var testNetwork = []string{
	"HOLDFAST_NETWORK__PROTOCOL_PREFIX=/holdfast-test",
	"HOLDFAST_VALUES__UNVALIDATED_NAMESPACES=example",
	"HOLDFAST_METRICS__LISTEN=off",
	"HOLDFAST_SNAPSHOT__INTERVAL=1s",
}

// serve starts a daemon of the test network and waits until it is ready.
func serve(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	return start(t, testNetwork, dir, append([]string{"--listen", "/ip4/127.0.0.1/tcp/0"}, args...)...)
}

// start starts a daemon with an environment and waits until it is ready.
func start(t *testing.T, env []string, dir string, args ...string) *process {
	t.Helper()
	bin, err := binary()
	require.NoError(t, err)
	p := &process{t: t, dir: dir, env: env, logs: &bytes.Buffer{}}
	p.cmd = exec.Command(bin, append([]string{"serve", "--data-dir", dir}, args...)...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p.logs
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { p.signal(syscall.SIGKILL) })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "Peer ID: "):
			p.id = strings.TrimPrefix(line, "Peer ID: ")
		case strings.HasPrefix(line, "/ip4/127.0.0.1/tcp/"):
			p.addr = line
		case line == "Ready":
			return p
		}
	}
	t.Fatalf("the daemon did not start: %s", p.logs)
	return nil
}

func (p *process) signal(s os.Signal) {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(s)
		_ = p.cmd.Wait()
	}
}

// holdfast runs a command against the daemon.
func (p *process) holdfast(args ...string) (string, int) {
	bin, err := binary()
	require.NoError(p.t, err)
	cmd := exec.Command(bin, append(args, "--data-dir", p.dir)...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdin = bytes.NewReader(p.stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return stderr.String(), code
	}
	return string(out), 0
}

func (p *process) verified() int {
	out, code := p.holdfast("status", "--json")
	if code != 0 {
		return 0
	}
	var s struct {
		VerifiedPeers int `json:"verified_peers"`
	}
	require.NoError(p.t, json.Unmarshal([]byte(out), &s))
	return s.VerifiedPeers
}

// asker sends raw requests of the protocol to a daemon.
type asker struct {
	t      *testing.T
	host   host.Host
	client *rpc.Client
	self   kad.PeerID
	addrs  [][]byte
}

func newAsker(t *testing.T) *asker {
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics())
	require.NoError(t, err)
	a := &asker{t: t, host: h, client: rpc.NewClient(h, "/holdfast-test/kad/1.0.0", rpc.ClientConfig{}, nil), self: kad.PeerID(h.ID())}
	for _, x := range h.Addrs() {
		a.addrs = append(a.addrs, x.Bytes())
	}
	t.Cleanup(func() { a.client.Close(); h.Close() })
	return a
}

func (a *asker) connect(h *process) peer.ID {
	ai, err := peer.AddrInfoFromString(h.addr)
	require.NoError(a.t, err)
	a.host.Peerstore().AddAddrs(ai.ID, ai.Addrs, time.Hour)
	return ai.ID
}

func (a *asker) ask(to peer.ID, msg *wire.Message) *wire.Message {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := a.client.Request(ctx, to, msg)
	require.NoError(a.t, err)
	return r.Message
}

func providerKey(i int) []byte { return fmt.Appendf(nil, "content %d", i) }
func valueKey(i int) []byte    { return fmt.Appendf(nil, "/example/%d", i) }

// fill stores values over the wire, all acknowledged, and provider records, all
// visible to a reader.
func (a *asker) fill(to peer.ID, values, providers int) {
	put := func(key []byte, ttl uint32) {
		a.ask(to, &wire.Message{Type: wire.PutValue, Key: key, Record: &wire.Record{Key: key, Value: key, TTL: ttl}})
	}
	for i := range values {
		put(valueKey(i), 0)
	}
	put([]byte("/example/short"), 2)
	var announcements []*wire.Message
	for i := range providers {
		announcements = append(announcements, &wire.Message{Type: wire.AddProvider, Key: providerKey(i),
			ProviderPeers: []wire.Peer{{ID: a.self, Addrs: a.addrs}}})
	}
	sent, err := a.client.Notify(context.Background(), to, announcements...)
	require.NoError(a.t, err)
	require.Equal(a.t, providers, sent)
	for i := range providers {
		require.Eventually(a.t, func() bool { return a.providers(to, i) == 1 }, patience, 10*time.Millisecond)
	}
}

// providers counts the providers of key i that come with addresses.
func (a *asker) providers(to peer.ID, i int) int {
	n := 0
	for _, p := range a.ask(to, &wire.Message{Type: wire.GetProviders, Key: providerKey(i)}).ProviderPeers {
		if len(p.Addrs) > 0 {
			n++
		}
	}
	return n
}

// TestKilled kills a daemon that holds records and knows peers with SIGKILL. After its
// restart, without a bootstrap address, it has the same peer ID, serves every
// acknowledged record and no expired one, and has its peers again.
func TestKilled(t *testing.T) {
	const others, values, providers = 5, 1000, 10_000
	dir := t.TempDir()
	first := serve(t, filepath.Join(dir, "0"))
	for i := 1; i < others; i++ {
		serve(t, filepath.Join(dir, fmt.Sprint(i)), "--bootstrap", first.addr)
	}
	victim := serve(t, filepath.Join(dir, "victim"), "--bootstrap", first.addr)
	require.Eventually(t, func() bool { return victim.verified() == others }, patience, 50*time.Millisecond)
	a := newAsker(t)
	to := a.connect(victim)
	a.fill(to, values, providers)
	require.Eventually(t, func() bool {
		out, _ := victim.holdfast("status", "--json")
		return strings.Contains(out, `"last_snapshot"`)
	}, patience, 50*time.Millisecond)
	victim.signal(syscall.SIGKILL)

	started := time.Now()
	again := serve(t, victim.dir)
	t.Logf("ready %v after exec", time.Since(started).Round(time.Millisecond))
	require.Equal(t, victim.id, again.id)
	require.Eventually(t, func() bool { return again.verified() == others }, patience, 10*time.Millisecond)
	t.Logf("table of %d verified %v after exec", others, time.Since(started).Round(time.Millisecond))
	to = a.connect(again)
	for i := range values {
		got := a.ask(to, &wire.Message{Type: wire.GetValue, Key: valueKey(i)})
		require.NotNil(t, got.Record, "value %d", i)
		require.Equal(t, valueKey(i), got.Record.Value)
	}
	for i := range providers {
		require.Equal(t, 1, a.providers(to, i), "provider record %d", i)
	}
	require.Eventually(t, func() bool { // its two seconds may not be over yet
		return a.ask(to, &wire.Message{Type: wire.GetValue, Key: []byte("/example/short")}).Record == nil
	}, patience, 50*time.Millisecond)
}
