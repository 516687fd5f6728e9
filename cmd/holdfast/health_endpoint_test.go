package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// endpoint is a metrics listener that answers by path and records the requests.
type endpoint struct {
	answers map[string]http.HandlerFunc
	asked   []string
	hosts   []string // that were asked for
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.asked, e.hosts = append(e.asked, r.Method+" "+r.URL.Path), append(e.hosts, r.Host)
	if h := e.answers[r.URL.Path]; h != nil {
		h(w, r)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// Over HTTP, health requests /healthz, and /readyz with --ready, and prints the reason of
// the endpoint without its control characters.
func TestHealthOverHTTP(t *testing.T) {
	refusing := func(body string) http.HandlerFunc { return answering(http.StatusServiceUnavailable, body) }
	for name, c := range map[string]struct {
		flags   string
		answers map[string]http.HandlerFunc
		code    int
		stdout  string
		stderr  string
		asked   []string
	}{
		"well":          {"", nil, exitDone, "ok\n", "", []string{"GET /healthz"}},
		"ready":         {"--ready", nil, exitDone, "ok\n", "", []string{"GET /healthz", "GET /readyz"}},
		"well, JSON":    {"--json", nil, exitDone, "{\"healthy\":true}\n", "", []string{"GET /healthz"}},
		"ready, JSON":   {"--ready --json", nil, exitDone, "{\"healthy\":true,\"ready\":true}\n", "", []string{"GET /healthz", "GET /readyz"}},
		"not well":      {"", map[string]http.HandlerFunc{"/healthz": refusing("the database fails\n")}, exitFailed, "", "holdfast: not healthy (503 Service Unavailable): the database fails\n", []string{"GET /healthz"}},
		"not well, yet": {"--ready", map[string]http.HandlerFunc{"/healthz": refusing("x")}, exitFailed, "", "holdfast: not healthy (503 Service Unavailable): x\n", []string{"GET /healthz"}},
		"warned":        {"--ready", map[string]http.HandlerFunc{"/readyz": answering(http.StatusOK, "ok\nDISK FULL: no space\n\x1b[2Jx")}, exitDone, "ok\nDISK FULL: no space\n?[2Jx\n", "", []string{"GET /healthz", "GET /readyz"}},
		"warned, JSON":  {"--ready --json", map[string]http.HandlerFunc{"/readyz": answering(http.StatusOK, "ok\nDISK FULL: no space\n")}, exitDone, "{\"healthy\":true,\"ready\":true,\"warnings\":[\"DISK FULL: no space\"]}\n", "", []string{"GET /healthz", "GET /readyz"}},
		"not ready":     {"--ready", map[string]http.HandlerFunc{"/readyz": refusing("no peers")}, exitFailed, "", "holdfast: not ready (503 Service Unavailable): no peers\n", []string{"GET /healthz", "GET /readyz"}},
		"not asked":     {"", map[string]http.HandlerFunc{"/readyz": refusing("no peers")}, exitDone, "ok\n", "", []string{"GET /healthz"}},
		"hostile":       {"", map[string]http.HandlerFunc{"/healthz": refusing("\x1b[2Ja\nholdfast: all is well\r")}, exitFailed, "", "holdfast: not healthy (503 Service Unavailable): ?[2Ja?holdfast: all is well\n", []string{"GET /healthz"}},
		"another":       {"", map[string]http.HandlerFunc{"/healthz": http.NotFound}, exitFailed, "", "holdfast: not healthy (404 Not Found): 404 page not found\n", []string{"GET /healthz"}},
		"JSON":          {"--json", map[string]http.HandlerFunc{"/healthz": refusing("x")}, exitFailed, "", "{\"error\":\"not healthy (503 Service Unavailable): x\",\"code\":1,\"reason\":\"failed\"}\n", []string{"GET /healthz"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := &endpoint{answers: c.answers}
			server := httptest.NewServer(e)
			defer server.Close()
			s := shellOf(t, nil)
			s.environ = []string{"HOLDFAST_METRICS__LISTEN=" + strings.TrimPrefix(server.URL, "http://")}
			code, stdout, stderr := s.runIn(t.Context(), append([]string{"health"}, strings.Fields(c.flags)...)...)
			require.Equal(t, c.code, code, stderr)
			require.Equal(t, c.stdout, stdout)
			require.Equal(t, c.stderr, stderr)
			require.Equal(t, c.asked, e.asked)
		})
	}
}

// A long reason is truncated.
func TestHealthWithALongReason(t *testing.T) {
	server := httptest.NewServer(answering(http.StatusServiceUnavailable, strings.Repeat("x", 1<<20)))
	defer server.Close()
	s := shellOf(t, nil)
	s.environ = []string{"HOLDFAST_METRICS__LISTEN=" + strings.TrimPrefix(server.URL, "http://")}
	code, _, stderr := s.runIn(t.Context(), "health")
	require.Equal(t, exitFailed, code)
	require.Equal(t, "holdfast: not healthy (503 Service Unavailable): "+strings.Repeat("x", healthText)+"\n", stderr)
}

// health asks the admin socket. If no daemon answers there, it asks the endpoint at the
// address of the configuration, on loopback if that is all interfaces, unless the endpoint
// is off, its port is 0, or a flag names a daemon.
func TestHealthTarget(t *testing.T) {
	e := &endpoint{}
	server := httptest.NewServer(e)
	defer server.Close()
	host, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	for _, c := range []struct {
		listen, flags string
		overHTTP      bool // without an admin socket
	}{
		{host + ":" + port, "", true},
		{"0.0.0.0:" + port, "", true},
		{":" + port, "", true},
		{"[::]:" + port, "", true},
		{"off", "", false},
		{host + ":0", "", false},
		{host + ":" + port, "--api", false},
		{host + ":" + port, "--data-dir", false},
	} {
		for _, running := range []bool{true, false} {
			b := &scripted{health: api.Health{Healthy: true}}
			s := shellOf(t, b)
			if !running {
				s.socket += "none"
			}
			e.asked = nil
			s.environ = []string{"HOLDFAST_METRICS__LISTEN=" + c.listen, "HOLDFAST_API__SOCKET=" + s.socket}
			args := []string{"health"}
			switch c.flags {
			case "--api":
				args = append(args, c.flags, s.socket)
			case "--data-dir":
				args = append(args, c.flags, ".")
			}
			code, _, stderr := s.runIn(t.Context(), args...)
			require.Equal(t, running || c.overHTTP, code == exitDone, "%v: %s", c, stderr)
			require.Equal(t, !running && c.overHTTP, len(e.asked) == 1, "%v", c)
			require.Subset(t, []string{net.JoinHostPort(host, port)}, e.hosts, "%v", c)
			require.Equal(t, map[bool]string{true: "Health", false: ""}[running], b.questions(), "%v", c)
			if code != exitDone {
				require.Equal(t, exitNoDaemon, code, stderr)
				require.Contains(t, stderr, s.socket)
			}
		}
	}
}

// At the default address another node may answer, so health does not ask there for a node
// whose admin socket does not answer.
func TestHealthOfAStoppedNode(t *testing.T) {
	for _, flags := range []string{"", "--ready", "--wait 1ms"} {
		s := shellOf(t, nil)
		code, stdout, stderr := s.runIn(t.Context(), append([]string{"health"}, strings.Fields(flags)...)...)
		require.Equal(t, exitNoDaemon, code, stdout)
		require.Contains(t, stderr, "no daemon reached at "+s.env["HOME"]+"/.local/state/holdfast/holdfast.sock")
	}
}

// An endpoint with another peer ID than that of the node's key is another node, well or not.
// One whose peer ID is unknown is asked.
func TestHealthOfAnotherNode(t *testing.T) {
	s := shellOf(t, nil)
	dir := s.env["HOME"] + "/.local/state/holdfast"
	code, stdout, stderr := s.runIn(t.Context(), "id", "--generate", "--data-dir", dir)
	require.Zero(t, code, stderr)
	own := strings.TrimPrefix(strings.Split(stdout, "\n")[0], "Peer ID: ")
	for name, c := range map[string]struct {
		status string
		code   int
		stderr string
	}{
		"itself":   {`{"identity":{"peer_id":"` + own + `"}}`, exitDone, ""},
		"another":  {`{"identity":{"peer_id":"` + somePeer + `"}}`, exitNoDaemon, "is another one: its peer ID is " + somePeer + ", not " + own + "\n"},
		"hostile":  {`{"identity":{"peer_id":"\u001b[2J"}}`, exitNoDaemon, "is another one: its peer ID is ?[2J, not " + own + "\n"},
		"silent":   {`{"identity":{}}`, exitDone, ""},
		"too long": {`{"x":"` + strings.Repeat("x", maxStatus) + `","identity":{"peer_id":"` + somePeer + `"}}`, exitDone, ""},
		"no JSON":  {"404", exitDone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, flags := range []string{"", "--ready"} {
				e := &endpoint{answers: map[string]http.HandlerFunc{"/status.json": answering(http.StatusOK, c.status)}}
				server := httptest.NewServer(e)
				defer server.Close()
				s.environ = []string{"HOLDFAST_METRICS__LISTEN=" + strings.TrimPrefix(server.URL, "http://")}
				code, _, stderr := s.runIn(t.Context(), append([]string{"health"}, strings.Fields(flags)...)...)
				require.Equal(t, c.code, code, stderr)
				require.Contains(t, stderr, c.stderr)
				if c.code != exitDone {
					require.Equal(t, []string{"GET /status.json"}, e.asked)
				}
			}
		})
	}
}

// An endpoint that refuses connections or does not speak HTTP is reported as no daemon.
func TestHealthOfNoDaemon(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, closed.Close())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n")
			c.Close()
		}
	}()
	for _, addr := range []string{closed.Addr().String(), l.Addr().String()} {
		for _, format := range []string{"", "--json"} {
			s := shellOf(t, nil)
			s.environ = []string{"HOLDFAST_METRICS__LISTEN=" + addr}
			code, stdout, stderr := s.runIn(t.Context(), append([]string{"health"}, strings.Fields(format)...)...)
			require.Equal(t, exitNoDaemon, code, stderr)
			require.Contains(t, stderr, "no daemon reached at http://"+addr+"/healthz")
			require.Contains(t, stderr, "is it running, and metrics.listen the same here?")
			require.Equal(t, 1, strings.Count(stderr, "\n"))
			require.Empty(t, stdout)
		}
	}
}
