package interop

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/mr-tron/base58"
	"github.com/stretchr/testify/require"
)

// The keys and the values of the demo: raw 32-byte keys up to py-libp2p 0.4.0, text in
// later releases.
const (
	oldKey     = "FVDjasarSFDoLPMdgnp1dHSbW2ZAfN8NU2zNbCQeczgP"                     // base58
	oldValue   = "Hello message from Sumanjeet"                                     //
	oldContent = "361f2ed1183bca491b8aec11f0b9e5c06724759b0f7480ae7fb4894901993bc8" // hex
	newKey     = "/example/my-example-key"
	newValue   = "Hello from py-libp2p!"
	newContent = "my-content-identifier"
)

// keys returns the preimages and the value that a release's demo uses.
func (d pyDemo) keys(t testing.TB) (key, value, content string) {
	t.Helper()
	if d.newKeys() {
		return newKey, newValue, newContent
	}
	k, err := base58.Decode(oldKey)
	require.NoError(t, err)
	c, err := hex.DecodeString(oldContent)
	require.NoError(t, err)
	return string(k), oldValue, string(c)
}

// broken reports whether the release's demo fails on its own 32-byte key: as a server
// before it sends anything, as a client after it has retrieved the value.
func (d pyDemo) broken() bool { return d.version == py040 }

// readsKeys returns patterns of the client's output, in the words of its release.
func (d pyDemo) readsKeys() (value, providers string) {
	if d.newKeys() {
		return `Retrieved value: ` + newValue, `Found (\d+) providers: (.*)`
	}
	return `Retrieved value: ` + oldValue, `Found (\d+) servers for content: (.*)`
}

// build builds the holdfast command once.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "holdfast-interop")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "holdfast")
	cmd := exec.Command("go", "build", "-o", out, "./cmd/holdfast")
	cmd.Dir = ".."
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", &buildError{err, string(text)}
	}
	return out, nil
})

type buildError struct {
	err  error
	text string
}

func (e *buildError) Error() string { return e.err.Error() + "\n" + e.text }

func holdfastBinary(t testing.TB) string {
	t.Helper()
	path, err := build()
	require.NoError(t, err)
	return path
}

// startDemo runs `holdfast demo` as a server and returns it with a loopback address,
// which includes its peer ID.
func startDemo(t testing.TB, name string, args ...string) (p *proc, addr string) {
	t.Helper()
	dir := t.TempDir()
	args = append([]string{"demo", "--data-dir", filepath.Join(dir, "data")}, args...)
	p = start(t, "holdfast demo "+name, dir, nil, holdfastBinary(t), args...)
	m, _ := p.waitFor(`To connect to this node, use: --bootstrap (\S+)`, 30*time.Second)
	p.waitFor(`Successfully advertised as server for content: `+newContent, 30*time.Second)
	return p, m[1]
}

// demoClient runs `holdfast demo --mode client` to its end.
func demoClient(t testing.TB, bootstrap ...string) (exit int, out string) {
	t.Helper()
	exit, stdout, stderr := run(t, t.TempDir(), nil, holdfastBinary(t),
		append([]string{"demo", "--mode", "client", "--bootstrap"}, bootstrap...)...)
	return exit, stdout + "\n" + stderr
}

func eachPy(t *testing.T, fn func(t *testing.T, py pyDemo)) {
	for _, v := range pyVersions {
		t.Run("py-"+v, func(t *testing.T) { fn(t, findPy(t, v)) })
	}
}

// requireClean fails if py-libp2p has logged that it rejected an answer.
func requireClean(t testing.TB, p *proc) {
	t.Helper()
	require.False(t, p.has(`invalid-signed-record|Traceback|Failed to parse`), "%s complains", p.name)
}

// requireFound waits until the demo in the client role has retrieved the value and found
// server. 0.4.0 fails once it has retrieved the value.
func (d pyDemo) requireFound(t testing.TB, client *proc, server peer.ID) {
	t.Helper()
	if d.broken() {
		client.waitFor(`self\.value_store\.put\(key, found_value\)`, time.Minute)
		return
	}
	value, providers := d.readsKeys()
	client.waitFor(value, time.Minute)
	m, _ := client.waitFor(providers, time.Minute)
	require.Contains(t, m[2], server.String())
	requireClean(t, client)
}

// TestPyClientOfOurs: the unmodified demo in the client role retrieves the value and
// finds the server from `holdfast demo`.
func TestPyClientOfOurs(t *testing.T) {
	_, addr := startDemo(t, "server")
	eachPy(t, func(t *testing.T, py pyDemo) {
		client := py.start(t, "client", "--mode", "client", "--bootstrap", addr)
		py.requireFound(t, client, mustInfo(t, addr).ID)
	})
}

// TestPyServerOfOurs: the unmodified demo in the server role stores its value and
// advertises at a Holdfast node, without delay. After the demo has stopped, Holdfast
// still finds its value and its provider record.
func TestPyServerOfOurs(t *testing.T) {
	eachPy(t, func(t *testing.T, py pyDemo) {
		if py.broken() {
			return // see TestPy040
		}
		holder, reader := newLenient(t), newLenient(t)
		require.NoError(t, reader.Host().Connect(t.Context(), peer.AddrInfo{ID: holder.Host().ID(), Addrs: holder.Host().Addrs()}))
		server := py.start(t, "server", "--mode", "server", "--bootstrap", hostAddr(t, holder.Host()))
		_, started := server.waitFor(`DHT service started`, 30*time.Second)
		_, stored := server.waitFor(`Stored value`, 30*time.Second)
		m, advertised := server.waitFor(`Successfully advertised as server|Advertised as provider|(Failed to advertise)`, 30*time.Second)
		t.Logf("stored after %s, advertised after %s", stored-started, advertised-started)
		require.Empty(t, m[1])
		require.Less(t, advertised-started, 5*time.Second, "py-libp2p waited for an answer")
		requireClean(t, server)
		id := mustInfo(t, pyAddr(server)).ID
		server.kill()

		key, value, content := py.keys(t)
		for _, n := range []*ours{holder, reader} {
			ctx := (&mixedNet{t: t}).ctx()
			got, err := n.GetValue(ctx, key)
			require.NoError(t, err)
			require.Equal(t, value, string(got))
			requireProviderID(t, n, content, id)
		}
	})
}

func requireProviderID(t *testing.T, n *ours, content string, id peer.ID) {
	t.Helper()
	var found []peer.AddrInfo
	_, err := n.Providers((&mixedNet{t: t}).ctx(), []byte(content), 0, func(info peer.AddrInfo) bool {
		found = append(found, info)
		return true
	})
	require.NoError(t, err)
	for _, info := range found {
		if info.ID == id {
			require.NotEmpty(t, info.Addrs, "provider without addresses")
			return
		}
	}
	t.Fatalf("%s is not among the providers %v", id, found)
}

// TestPyTakesAnyKey: py-libp2p resets FIND_NODE for a key of one byte, and for a key of
// more than 50 bytes that is not a multihash. It still takes part in lookups of such
// keys.
func TestPyTakesAnyKey(t *testing.T) {
	eachPy(t, func(t *testing.T, py pyDemo) {
		if py.broken() {
			return // see TestPy040
		}
		n := newLenient(t)
		server := py.start(t, "server", "--mode", "server", "--bootstrap", hostAddr(t, n.Host()))
		server.waitFor(`Stored value`, 30*time.Second)
		id := mustInfo(t, pyAddr(server)).ID
		require.NoError(t, n.Joined((&mixedNet{t: t}).ctx()))
		for _, key := range []string{"k", "/example/" + strings.Repeat("k", 60), strings.Repeat("k", 100)} {
			found, err := n.closest((&mixedNet{t: t}).ctx(), key)
			require.NoError(t, err, "%d bytes", len(key))
			require.Equal(t, []peer.ID{id}, found, "%d bytes", len(key))
		}
	})
}

// TestPyServerAndOurDemo: the same against `holdfast demo`, which has the same keys, so
// py-libp2p is a second provider of the content. Our demo client finds both, even if it
// knows only py-libp2p, and still finds both after py-libp2p has stopped.
func TestPyServerAndOurDemo(t *testing.T) {
	eachPy(t, func(t *testing.T, py pyDemo) {
		if py.broken() {
			return // see TestPy040
		}
		demo, addr := startDemo(t, "server")
		server := py.start(t, "server", "--mode", "server", "--bootstrap", addr)
		server.waitFor(`Stored value`, 30*time.Second)
		server.waitFor(`Successfully advertised as server|Advertised as provider|Failed to advertise`, 30*time.Second)
		requireClean(t, server)
		id := mustInfo(t, pyAddr(server)).ID.String()

		_, value, _ := py.keys(t)
		exit, out := demoClient(t, pyAddr(server))
		require.Zero(t, exit, out)
		require.Contains(t, out, "Retrieved value: "+value)
		require.Contains(t, out, id)

		server.kill()
		exit, out = demoClient(t, addr)
		require.Zero(t, exit, out)
		require.Contains(t, out, "Retrieved value: "+oldValue)
		require.Contains(t, out, "Retrieved value: "+newValue)
		require.Contains(t, out, id)
		require.False(t, demo.has(`panic`))
	})
}

// TestPyServerAlone: the unmodified demo as a server without peers. Our demo client finds
// its value and its provider record.
func TestPyServerAlone(t *testing.T) {
	eachPy(t, func(t *testing.T, py pyDemo) {
		if py.broken() {
			return // see TestPy040
		}
		server := py.start(t, "server", "--mode", "server")
		server.waitFor(`Status - Connected|advertise|Advertised`, 30*time.Second)
		_, value, _ := py.keys(t)
		exit, out := demoClient(t, pyAddr(server))
		require.Zero(t, exit, out)
		require.Contains(t, out, "Retrieved value: "+value)
		require.Contains(t, out, mustInfo(t, pyAddr(server)).ID.String())
	})
}

// TestPyFindsWhatOursLeft: after our demo server was killed, the unmodified demo in the
// client role finds its value and provider record at a third node.
func TestPyFindsWhatOursLeft(t *testing.T) {
	third := newLenient(t)
	demo, addr := startDemo(t, "origin", "--bootstrap", hostAddr(t, third.Host()))
	id := mustInfo(t, addr).ID
	require.Eventually(t, func() bool {
		v, err := third.Get((&mixedNet{t: t}).ctx(), []byte(newKey), 1)
		return err == nil && string(v.Value) == newValue
	}, 30*time.Second, 100*time.Millisecond, "the demo's value does not reach a third node")
	requireProviderID(t, third, newContent, id)
	demo.kill()
	eachPy(t, func(t *testing.T, py pyDemo) {
		client := py.start(t, "client", "--mode", "client", "--bootstrap", hostAddr(t, third.Host()))
		py.requireFound(t, client, id)
	})
}

// TestPy040 makes the demo's calls with text keys (py/demo040.py), because 0.4.0 cannot
// use the keys of its own demo. What the server publishes is found through the server
// alone, by another 0.4.0 through a Holdfast node, and at the Holdfast node after the
// server has stopped.
func TestPy040(t *testing.T) {
	py := findPy(t, py040)
	script, err := filepath.Abs("py/demo040.py")
	require.NoError(t, err)
	holder := newLenient(t)
	run := func(mode string) *proc {
		return start(t, "py-0.4.0 "+mode, t.TempDir(), []string{"PYTHONUNBUFFERED=1"}, py.python, script, mode, hostAddr(t, holder.Host()))
	}
	server := run("server")
	_, started := server.waitFor(`DHT service started`, 30*time.Second)
	_, stored := server.waitFor(`Stored value`, 30*time.Second)
	_, advertised := server.waitFor(`Successfully advertised as server`, 30*time.Second)
	t.Logf("stored after %s, advertised after %s", stored-started, advertised-started)
	require.Less(t, advertised-started, 5*time.Second, "py-libp2p waited for an answer")
	requireClean(t, server)
	info := mustInfo(t, pyAddr(server))

	asks := func(n *ours) {
		got, err := n.GetValue((&mixedNet{t: t}).ctx(), "holdfast interop key")
		require.NoError(t, err)
		require.Equal(t, "Hello from py-libp2p 0.4.0", string(got))
		requireProviderID(t, n, "holdfast interop content", info.ID)
	}
	through := newLenient(t)
	require.NoError(t, through.Host().Connect(t.Context(), info))
	require.Eventually(t, func() bool { return through.tableSize() > 0 }, opTimeout, 20*time.Millisecond)
	asks(through)
	server.kill()
	asks(holder)
	client := run("client")
	client.waitFor(`Retrieved value: Hello from py-libp2p 0.4.0`, time.Minute)
	m, _ := client.waitFor(`Found \d+ servers for content: (.*)`, time.Minute)
	require.Contains(t, m[1], info.ID.String())
	requireClean(t, client)
}
