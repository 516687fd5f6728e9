package interop

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The releases of py-libp2p that the tests run: the first and last of each behaviour on
// the wire. 0.2.9 has no signed records. 0.3.0 sends them and still accepts raw keys.
// 0.4.0 decodes every key as UTF-8, so its own demo fails in the server role before it
// sends anything. 0.8.1 is the newest: namespaced keys, acks with a record, ADD_PROVIDER
// without waiting.
const (
	py029 = "0.2.9"
	py030 = "0.3.0"
	py040 = "0.4.0"
	py081 = "0.8.1"
	// py060 as a TLS server does not learn the client's peer ID. Only
	// TestPyKnowsWhoAnnounces runs it.
	py060 = "0.6.0"
)

var pyVersions = []string{py029, py030, py040, py081}

// pyDemo is the unmodified Kademlia demo of one release of py-libp2p.
type pyDemo struct {
	version string
	python  string
	script  string // unpacked from the release's source distribution
}

// findPy returns the demo that interop/run installed: VERSION/venv and
// VERSION/kademlia.py below $HOLDFAST_INTEROP_PY.
func findPy(t testing.TB, version string) pyDemo {
	t.Helper()
	root := os.Getenv("HOLDFAST_INTEROP_PY")
	if root == "" {
		needed(t, "HOLDFAST_INTEROP_PY")
	}
	d := pyDemo{
		version: version,
		python:  filepath.Join(root, version, "venv", "bin", "python"),
		script:  filepath.Join(root, version, "kademlia.py"),
	}
	for _, f := range []string{d.python, d.script} {
		_, err := os.Stat(f)
		require.NoError(t, err, "interop/run installs it")
	}
	return d
}

// start runs a copy of the demo in its own directory, because the script writes its
// address file beside itself.
func (d pyDemo) start(t testing.TB, name string, args ...string) *proc {
	t.Helper()
	dir := t.TempDir()
	b, err := os.ReadFile(d.script)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kademlia.py"), b, 0o644))
	env := []string{"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"}
	args = append([]string{"kademlia.py", "--port", strconv.Itoa(freePort(t))}, args...)
	return start(t, "py-"+d.version+" "+name, dir, env, d.python, args...)
}

// The ports of the demos are below the ephemeral ports (32768 and up on Linux).
const (
	firstPort = 15000
	numPorts  = 15000
)

var portsGiven atomic.Int64

// freePort returns a port that is free on all addresses. By default a demo takes a random
// port from the range that connections of other tests use, and continues without the
// loopback address if the port is in use there.
func freePort(t testing.TB) int {
	t.Helper()
	for range numPorts {
		port := firstPort + int(portsGiven.Add(1))%numPorts
		l, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(port)))
		if err == nil {
			require.NoError(t, l.Close())
			return port
		}
	}
	require.Fail(t, "no port is free")
	return 0
}

// newKeys reports whether this release's demo uses /example/my-example-key and
// my-content-identifier instead of raw 32-byte keys.
func (d pyDemo) newKeys() bool {
	return !strings.HasPrefix(d.version, "0.2") && d.version != py030 && d.version != py040
}

// pyAddr returns the loopback address that a running demo prints.
func pyAddr(p *proc) string {
	p.t.Helper()
	m, _ := p.waitFor(`(/(?:ip4/127\.0\.0\.1|ip6/::1)/tcp/\d+/p2p/\w+)`, 30*time.Second)
	return m[1]
}
