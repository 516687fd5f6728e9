package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// roughShell is a shell whose daemon answers every request with h.
func roughShell(t *testing.T, h http.HandlerFunc) *shell {
	t.Helper()
	s := shellWith(t, nil)
	l, err := net.Listen("unix", s.socket)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(h)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// answering answers with the given text.
func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// dying is a daemon that is killed after it has sent the beginning of an answer.
func dying(beginning string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, beginning)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// If the daemon's answer is unusable, each command fails, says what the answer is, and
// leaves no file. The text is not an error text of Go's packages.
func TestUnusableAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		exit int
		says string
	}{
		"dies at once":           {dying(""), exitNoDaemon, " went away during "},
		"dies in an answer":      {dying(`{"peer_id":"12D3Koo`), exitNoDaemon, " went away during "},
		"ends without an answer": {answering(http.StatusOK, ""), exitNoDaemon, " went away during "},
		"a word":                 {answering(http.StatusOK, `"hello"`+"\n"), exitFailed, "; is it of the same version?"},
		"a page":                 {answering(http.StatusOK, "<!doctype html>\n<p>hello</p>\n"), exitFailed, "; is it of the same version?"},
		"an older one":           {answering(http.StatusNotFound, "404 page not found\n"), exitFailed, " with 404 Not Found; is it of the same version?"},
		"no reason":              {answering(http.StatusBadRequest, "{}"), exitFailed, " with 400 Bad Request; is it of the same version?"},
		"a page as the reason":   {answering(http.StatusBadGateway, "<html>"), exitFailed, " with 502 Bad Gateway; is it of the same version?"},
		"a code of tomorrow":     {answering(http.StatusTeapot, `{"error":{"code":"tea","message":"only tea"}}`), exitFailed, "only tea"},
		"a hostile reason":       {answering(http.StatusBadRequest, `{"error":{"code":"invalid","message":"a\u001b[2Jb"}}`), exitFailed, "a?[2Jb"},
	} {
		t.Run(name, func(t *testing.T) {
			s := roughShell(t, c.h)
			for _, q := range questions {
				code, stdout, stderr := s.run(q.line)
				require.Contains(t, stderr, c.says, q.line)
				require.Equal(t, c.exit, code, "%s: %s", q.line, stderr)
				require.NotRegexp(t, goProse, stderr, q.line)
				require.NotContains(t, stderr, "json:", q.line)
				require.Empty(t, stdout, q.line)
				requireOnlyKeys(t)
			}
		})
	}
}

// A truncated answer is an error: a list prints the items that arrived, and a backup
// leaves no partial file and does not replace an existing one.
func TestListsThatAreCut(t *testing.T) {
	half := "{\"item\":\"aGFsZg==\"}\n"
	peer := "{\"item\":{\"peer_id\":\"" + somePeer + "\",\"addrs\":[]}}\n"
	for line, c := range map[string]struct {
		beginning string
		printed   string
	}{
		"find-providers k":    {peer, somePeer + "\n"},
		"find-providers l":    {peer + peer + "{\"item\":{\"peer_id\"", somePeer + "\n" + somePeer + "\n"},
		"provides":            {"{\"item\":{\"key\":\"aw==\"}}\n", ""},
		"explain list":        {"{\"item\":{\"id\":1}}\n", ""},
		"explain show 1":      {"{\"item\":{\"id\":1}}\n", ""},
		"backup saved":        {half, ""},
		"backup keys --force": {half, ""},
		"debug bundle saved":  {half, ""},
		"debug bundle -":      {half + half + "{\"item\":\"aGFs", "halfhalf"},
	} {
		code, stdout, stderr := roughShell(t, dying(c.beginning)).run(line)
		require.Equal(t, exitNoDaemon, code, "%s: %s", line, stderr)
		require.Contains(t, stderr, "went away during", line)
		require.Equal(t, c.printed, stdout, line)
		requireOnlyKeys(t)
		keys, err := os.ReadFile("keys")
		require.NoError(t, err)
		require.Equal(t, twoKeys, string(keys), line)
	}
}

// --timeout ends every command that has the flag, also in the middle of an answer.
func TestTimeoutInTheMiddle(t *testing.T) {
	released := make(chan struct{})
	s := roughShell(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "{")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-released:
		}
	})
	defer close(released)
	takes := map[string]bool{}
	root := (&app{}).root()
	for _, path := range commandsWith(root, "timeout") {
		takes[path] = true
	}
	for _, q := range questions {
		cmd, _, err := root.Find(strings.Fields(q.line))
		require.NoError(t, err)
		if !takes[cmd.CommandPath()] {
			require.Contains(t, []string{"backup", "health"}, cmd.Name())
			continue
		}
		if strings.HasSuffix(q.line, "--file keys") {
			continue // it waits for answerGrace: see TestTimeoutOfAFile
		}
		code, stdout, stderr := s.run(q.line, "--timeout", "5ms")
		require.Equal(t, exitFailed, code, "%s: %s", q.line, stderr)
		require.Contains(t, stderr, "gave up after 5ms (--timeout)", q.line)
		require.Empty(t, stdout, q.line)
		requireOnlyKeys(t)
	}
}

// versioned is a daemon of another version: b's answers, each changed.
func versioned(t *testing.T, b api.Backend, change func(any) any) *shell {
	t.Helper()
	behind := shellOf(t, b).socket
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", behind)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return roughShell(t, func(w http.ResponseWriter, r *http.Request) {
		ask, err := http.NewRequestWithContext(r.Context(), r.Method, "http://behind"+r.URL.Path, r.Body)
		if err != nil {
			panic(err)
		}
		answer, err := transport.RoundTrip(ask)
		if err != nil {
			panic(err)
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		lines := json.NewDecoder(answer.Body)
		for {
			var v any
			if lines.Decode(&v) != nil {
				return
			}
			if l, ok := v.(map[string]any); ok && l["item"] != nil {
				l["item"] = change(l["item"])
			} else if !ok || l["end"] == nil {
				v = change(v)
			}
			_ = json.NewEncoder(w).Encode(v)
		}
	})
}

// withMore adds an unknown field to every object of a value.
func withMore(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = withMore(v[name])
		}
		v["of_tomorrow"] = map[string]any{"deep": []any{1, "two"}}
	case []any:
		for i := range v {
			v[i] = withMore(v[i])
		}
	}
	return v
}

// A command ignores the unknown fields in the answers of a newer daemon.
func TestNewerDaemon(t *testing.T) {
	for _, q := range answeredAtOnce() {
		if strings.HasPrefix(q.line, "log level") {
			continue // a level of each subsystem: every field is one
		}
		t.Run(q.line, func(t *testing.T) {
			_, want, _ := shellWith(t, content()).run(q.line)
			code, stdout, stderr := versioned(t, content(), withMore).run(q.line)
			require.Zero(t, code, stderr)
			require.Empty(t, stderr)
			if strings.HasPrefix(q.line, "republish") { // it says how long until an instant
				return
			}
			require.Equal(t, want, stdout)
		})
	}
}

// withNothing is the answer of a daemon so old that it has none of the fields.
func withNothing(v any) any {
	switch v.(type) {
	case map[string]any:
		return map[string]any{}
	case []any:
		return []any{}
	}
	return v
}

// fromNothing are the texts of some commands for answers without fields.
var fromNothing = map[string]string{
	"table --report": `
CPL  PEERS  VERIFIED  FILL  NEWEST  OLDEST
0 peers in 0 buckets, 0 gaps
`,
	"put /example/k v": `
Stored value with key: /example/k (kept here, not published yet: no peer answered; the node tries again)
`,
	"explain get k": `
GET k: found after 0 ms
It ended because it had found enough. 0 peers known at the start, 0 asked, 0 answered, 0 failed, 0 hops deep.
Value: This trace does not contain the value that was found.
`,
	"republish status": `
Keys:            0
Overdue:         0
Running:         0
Interval:        0s
Next due:        -
Last success:    never
Fewest holders:  -
Unannounced:     0
`,
	"status": `
State:
Peer ID:
Version:
Uptime:             0s
Starts:             -
Mode:                (client, reachability )
Table:              0 peers, 0 verified, 0 restored at start
Connections:        0
Network size:       unknown
Records held:       0 provider records, 0 values
Published keys:     0, 0 overdue
Refused by quotas:  nothing
Database size:      none, records are in memory
Space for records:  -
Disk:               -
Old copies:         none
Data directory:     -
Status page:        -
Delegated routing:  -
Running queries:    0
Last snapshot:      never
Last expiry:        never
Last refresh:       never
Last republish:     never
`,
}

// An older daemon, whose answers lack fields, breaks no command: a missing field is shown
// as nothing, none or unknown.
func TestOlderDaemon(t *testing.T) {
	ends := map[string]int{
		"health": exitFailed, "health --ready": exitFailed, // which is what it says
		"closest k": exitNotFound, "explain show 7": exitNotFound, // nothing came
		"unprovide --file keys": exitNotFound,
	}
	for _, q := range answeredAtOnce() {
		t.Run(q.line, func(t *testing.T) {
			for _, format := range []string{"", " --json"} {
				code, stdout, stderr := versioned(t, content(), withNothing).run(q.line + format)
				require.Equal(t, ends[q.line], code, stderr)
				if text := fromNothing[q.line]; text != "" && format == "" {
					require.Equal(t, strings.TrimPrefix(text, "\n"), stdout)
				}
				if format != "" && code == exitDone && !strings.HasPrefix(q.line, "debug bundle") {
					requireJSONLines(t, stdout)
				}
			}
		})
	}
}

// requireJSONLines fails unless each line of a text is one JSON object.
func requireJSONLines(t *testing.T, text string) (objects []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var object map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &object), line)
		objects = append(objects, object)
	}
	return objects
}

// If the socket's path is something else than a socket, the error says what it is,
// however long the path is.
func TestNotASocket(t *testing.T) {
	s := shellWith(t, nil)
	for _, c := range []struct{ at, says string }{
		{"keys", ""}, // the system chooses the reason: see TestReasonOfNoSocket
		{".", ""},
		{"none/s", "no such file or directory"},
		{"keys/s", "not a directory"},
		{filepath.Join(strings.Repeat("long/", 30), "s"), "no such file or directory"},
	} {
		code, _, stderr := s.runIn(t.Context(), "status", "--api", c.at)
		require.Equal(t, exitNoDaemon, code, c.at)
		at, err := filepath.Abs(c.at)
		require.NoError(t, err)
		require.Contains(t, stderr, fmt.Sprintf("no daemon reached at %s (", at))
		require.Contains(t, stderr, c.says, c.at)
	}
}

// A command that sends two requests notices that the daemon has stopped before the
// second.
func TestDaemonThatDiesBetweenQuestions(t *testing.T) {
	for line, says := range map[string]string{
		"log level warn":       "went away during log-levels",
		"republish now":        "went away during republish-now",
		"republish now --wait": "went away during republish-now",
		"provide k l":          "went away during provide",
		"ping " + somePeer:     "went away during ping",
	} {
		answers := 0
		s := roughShell(t, func(w http.ResponseWriter, _ *http.Request) {
			if answers++; answers > 1 {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.Copy(w, bytes.NewReader([]byte("{}\n")))
		})
		code, _, stderr := s.run(line)
		require.Equal(t, exitNoDaemon, code, "%s: %s", line, stderr)
		require.Contains(t, stderr, says, line)
	}
}

// hanging is a daemon that does not answer requests with many keys.
type hanging struct{ api.Backend }

func (hanging) ProvideLater(ctx context.Context, _ [][]byte) (api.HandedOver, error) {
	<-ctx.Done()
	return api.HandedOver{}, ctx.Err()
}

func (hanging) UnprovideAll(ctx context.Context, _ [][]byte) (api.Removed, error) {
	<-ctx.Done()
	return api.Removed{}, ctx.Err()
}

// After --timeout, a command on the keys of a file waits for the answer to its last
// request, and then also says that the timeout ended it.
func TestTimeoutOfAFile(t *testing.T) {
	for name, work := range map[string]func(*bulk, context.Context, api.Backend) error{"provide": (*bulk).provide, "unprovide": (*bulk).unprovide} {
		synctest.Test(t, func(t *testing.T) {
			var errs bytes.Buffer
			a := &app{errs: &errs, client: client{timeout: time.Second}}
			ctx, cancel := context.WithTimeoutCause(t.Context(), a.timeout, errGaveUp)
			defer cancel()
			begun := time.Now()
			err := work(&bulk{app: a, file: "keys", keys: [][]byte{{1}, {2}}}, ctx, hanging{})
			require.EqualError(t, a.gaveUp(ctx, err), "gave up after 1s (--timeout)", name)
			require.Equal(t, a.timeout+answerGrace, time.Since(begun))
		})
	}
}
