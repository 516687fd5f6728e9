package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/internal/memlimit"
)

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// options returns the options of a daemon of a test network on loopback.
func options(t *testing.T, dir string, settings ...config.Setting) (Options, *buffer) {
	t.Helper()
	loaded, err := config.Load(config.Sources{Flags: append([]config.Setting{
		{Key: "storage.path", Value: dir},
		{Key: "network.protocol_prefix", Value: "/test"},
		{Key: "network.listen", List: []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}},
		{Key: "values.unvalidated_namespaces", Value: "example"},
		{Key: "metrics.listen", Value: "127.0.0.1:0"},
	}, settings...)})
	require.NoError(t, err)
	out := &buffer{}
	logs, err := NewLogs(out, "text", "info")
	require.NoError(t, err)
	return Options{Loaded: loaded, Logs: logs, Getenv: environment{}.get}, out
}

func start(t *testing.T, dir string, settings ...config.Setting) *Daemon {
	t.Helper()
	o, _ := options(t, dir, settings...)
	d, err := Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// leaks fails the test if goroutines are left at its end. The ignored ones belong to
// libraries and exist once per process.
func leaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, before,
			goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p-asn-util.init"),
			goleak.IgnoreAnyFunction("github.com/ipfs/go-log/v2/writer.(*MirrorWriter).logRoutine"),
			goleak.IgnoreAnyFunction("github.com/jackpal/go-nat-pmp.(*Client).GetExternalAddress"))
	})
}

func fetch(t require.TestingT, url string) (int, string) {
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestLifeOfADaemon(t *testing.T) {
	leaks(t)
	dir := t.TempDir()
	o, logs := options(t, dir)
	d, err := Start(o)
	require.NoError(t, err)
	require.Len(t, d.Addrs(), 2)
	for _, path := range []string{"/healthz", "/readyz"} {
		require.Eventually(t, func() bool {
			code, _ := fetch(t, "http://"+d.web.addr+path)
			return code == http.StatusOK
		}, 10*time.Second, 10*time.Millisecond)
	}
	code, text := fetch(t, "http://"+d.web.addr+"/metrics")
	require.Equal(t, http.StatusOK, code)
	for _, name := range []string{"holdfast_build_info", "holdfast_routing_table_peers", "holdfast_db_size_bytes", "libp2p_", "go_goroutines"} {
		require.Contains(t, text, name)
	}
	limit := strconv.FormatFloat(float64(memlimit.Read(os.DirFS("/"))), 'g', -1, 64)
	require.Contains(t, text, "\nholdfast_memory_limit_bytes "+limit+"\n")

	c := api.NewClient(filepath.Join(dir, socketName))
	defer c.Close()
	s, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, stateReady, s.State)
	require.Equal(t, dir, s.DataDir)
	require.Equal(t, d.web.addr, s.MetricsAddr)
	require.Positive(t, s.DBBytes)

	before := time.Now()
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())
	require.Less(t, time.Since(before), 10*time.Second)
	_, err = c.Status(t.Context())
	require.ErrorIs(t, err, api.ErrNoDaemon)
	require.NoFileExists(t, filepath.Join(dir, socketName))
	require.ErrorIs(t, d.Healthy(t.Context()), errDraining)
	atStart, _, _ := strings.Cut(logs.String(), "msg=ready")
	require.LessOrEqual(t, strings.Count(atStart, "\n"), 10, "quiet by default: %s", atStart)
	for _, says := range []string{"starting", "database open", "identity", "listening", "admin socket open", "metrics and health open", "ready", "stopping", "stopped"} {
		require.Contains(t, logs.String(), says)
	}
}

func TestRestartIsTheSamePeerWithTheSameRecords(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir)
	_, err := first.Backend().Put(t.Context(), []byte("/example/k"), []byte("v"), 0)
	require.NoError(t, err)
	id := first.ID()
	require.NoError(t, first.Close())
	again := start(t, dir)
	require.Equal(t, id, again.ID())
	v, err := again.Backend().Get(t.Context(), []byte("/example/k"), 0)
	require.NoError(t, err)
	require.Equal(t, "v", string(v.Value))
}

func TestFailedStartLeavesNothing(t *testing.T) {
	leaks(t)
	dir := t.TempDir()
	d := start(t, dir)
	t.Cleanup(func() { d.Close() })
	refused := func(dir string, want error, settings ...config.Setting) {
		t.Helper()
		o, _ := options(t, dir, settings...)
		_, err := Start(o)
		require.ErrorIs(t, err, want)
	}
	refused(dir, ErrInUse)
	other := t.TempDir()
	taken, _, err := net.SplitHostPort(d.web.addr)
	require.NoError(t, err)
	require.NotEmpty(t, taken)
	port, err := d.host.Addrs()[0].ValueForProtocol(6)
	if err != nil {
		port, err = d.host.Addrs()[1].ValueForProtocol(6)
	}
	require.NoError(t, err)
	refused(other, ErrPortTaken, config.Setting{Key: "network.listen", List: []string{"/ip4/127.0.0.1/tcp/" + port}})
	refused(other, api.ErrSocketInUse, config.Setting{Key: "api.socket", Value: filepath.Join(dir, socketName)})
	refused(other, config.ErrInvalid, config.Setting{Key: "network.bootstrap", List: []string{"x"}})
	o, _ := options(t, other, config.Setting{Key: "metrics.listen", Value: d.web.addr})
	_, err = Start(o)
	require.ErrorContains(t, err, "metrics.listen", "a chosen port is not given up")
	start(t, other)
}

func TestBootstrapFailuresAreListed(t *testing.T) {
	leaks(t)
	a := start(t, t.TempDir())
	dead := "/ip4/127.0.0.1/tcp/1/p2p/" + peerA
	b := start(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: append([]string{dead}, a.Addrs()...)})
	reached, failed, err := b.Bootstrapped(t.Context())
	require.NoError(t, err)
	require.Equal(t, []peer.ID{a.ID()}, reached)
	require.Len(t, failed, 1)
	require.NoError(t, b.WaitForPeer(t.Context()))

	c := start(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: []string{dead}})
	_, _, err = c.Bootstrapped(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, peerA)
}

func TestClient(t *testing.T) {
	leaks(t)
	a := start(t, t.TempDir())
	b := start(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: a.Addrs()})
	require.NoError(t, b.WaitForPeer(t.Context()))
	_, err := a.Backend().Put(t.Context(), []byte("/example/k"), []byte("v"), 0)
	require.NoError(t, err)

	c, err := StartClient(t.Context(), a.config, b.Addrs(), b.options.Logs)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	v, err := c.Get(t.Context(), []byte("/example/k"), 0)
	require.NoError(t, err)
	require.Equal(t, "v", string(v.Value))
	require.ErrorIs(t, c.Backup(t.Context(), io.Discard), api.ErrUnsupported)

	_, err = StartClient(t.Context(), a.config, []string{"/ip4/127.0.0.1/tcp/1/p2p/" + peerA}, a.options.Logs)
	require.ErrorIs(t, err, ErrUnreachable)
	other := a.config
	other.Network.ProtocolPrefix = "/other"
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = StartClient(ctx, other, b.Addrs(), a.options.Logs)
	require.ErrorContains(t, err, "no peer answers /other/kad/1.0.0")
}

// A client that finds only peers of another network says so before its timeout.
func TestClientOfAnotherNetwork(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "network.protocol_prefix", Value: "/one"})
	o, _ := options(t, t.TempDir(), config.Setting{Key: "network.protocol_prefix", Value: "/two"})
	begun := time.Now()
	_, err := StartClient(t.Context(), o.Loaded.Config, d.Addrs()[:1], o.Logs)
	require.ErrorContains(t, err, "no peer answers /two/kad/1.0.0: none of the connected peers supports it")
	require.Less(t, time.Since(begun), joinTimeout)
}

func TestReload(t *testing.T) {
	o, logs := options(t, t.TempDir())
	next, _ := options(t, o.Loaded.Config.Storage.Path)
	next.Loaded.Config.Log.Level = "warn,daemon=info"
	next.Loaded.Config.Network.Bootstrap = []string{"/ip4/127.0.0.1/tcp/1/p2p/" + peerA}
	next.Loaded.Config.Snapshot.Interval.Duration = time.Hour
	next.Loaded.Config.Republish.Interval.Duration = time.Hour
	next.Loaded.Config.Limits.ConnectionsHigh = 700
	next.Loaded.Config.Limits.Memory = 64 * config.MiB
	next.Loaded.Config.Values.RawKeys = true
	var refuse error
	o.Reload = func() (*config.Loaded, error) { return next.Loaded, refuse }
	d, err := Start(o)
	require.NoError(t, err)
	defer d.Close()

	refuse = errors.New("bad file")
	require.ErrorIs(t, d.Reload(), refuse)
	require.Equal(t, "info", o.Logs.Levels()[""])
	_, text := fetch(t, "http://"+d.web.addr+"/metrics")
	require.Contains(t, text, "holdfast_config_last_reload_successful 0")

	refuse = nil
	require.NoError(t, d.Reload())
	require.Equal(t, "warn", o.Logs.Levels()[""])
	require.Contains(t, logs.String(), `applied="network.bootstrap republish.interval snapshot.interval limits.connections_high limits.memory log.level"`)
	require.Contains(t, logs.String(), "keys=values.raw_keys")
	s, err := d.Backend().RepublishStatus(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3600.0, s.CycleSeconds)
	_, text = fetch(t, "http://"+d.web.addr+"/metrics")
	require.Contains(t, text, "holdfast_config_last_reload_successful 1")
	require.Contains(t, text, `libp2p_rcmgr_limit{resource="memory",scope="system"} 6.7108864e+07`)
	require.Equal(t, 700, d.host.ConnManager().(*connections).manager().GetInfo().HighWater)
}

// Every key that is documented to reload does.
func TestReloadableKeysAreApplied(t *testing.T) {
	for _, k := range config.Keys() {
		if k.Reload {
			_, interval := intervals[k.Path()]
			_, other := appliers[k.Path()]
			require.True(t, interval != other, "%s is marked as reloadable: settings.go needs an applier for it, in intervals or in appliers but not in both", k.Path())
		}
	}
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	o, logs := options(t, t.TempDir())
	hang := make(chan struct{})
	defer close(hang)
	var order []string
	d := &Daemon{log: o.Logs.Logger("daemon"), cancel: func() {}}
	d.onClose("first", time.Second, func() error { order = append(order, "first"); return errors.New("sad") })
	d.onClose("stuck", 10*time.Millisecond, func() error { <-hang; return nil })
	err := d.undo()
	require.ErrorContains(t, err, "stuck did not stop within 10ms")
	require.ErrorContains(t, err, "close first: sad")
	require.Equal(t, []string{"first"}, order)
	require.Contains(t, logs.String(), "stopping without it")
}

func TestStepsOfCloseAreUnderTenSeconds(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "routing_api.listen", Value: "127.0.0.1:0"})
	var total time.Duration
	for _, s := range d.stops {
		total += s.bound
	}
	require.Len(t, d.stops, 6)
	require.Less(t, total, 10*time.Second)
}

func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenPacket("unixgram", path)
	require.NoError(t, err)
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "20000")
	d := start(t, t.TempDir())
	told := func(want string) {
		t.Helper()
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
		for buf := make([]byte, 1024); ; {
			n, _, err := conn.ReadFrom(buf)
			require.NoError(t, err, want)
			if bytes.Contains(buf[:n], []byte(want)) {
				return
			}
		}
	}
	told("READY=1")
	told("WATCHDOG=1")
	require.ErrorIs(t, d.Reload(), ErrNoReload)
	told("RELOADING=1\nMONOTONIC_USEC=")
	told("READY=1")
	require.NoError(t, d.Close())
	told("STOPPING=1")
}
