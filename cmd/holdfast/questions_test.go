package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

const someAddr = "/ip4/192.0.2.1/tcp/4011/p2p/" + somePeer

type question struct{ line, asks string }

// questions are command lines that ask the daemon, each with what it asks. The file keys
// has two keys.
var questions = []question{
	{"id", "Identity"},
	{"status", "Status"},
	{"health", "Health"},
	{"health --ready", "Health"},
	{"table", "Table"},
	{"table --report", "Table"},
	{"peers", "Peers"},
	{"peers --usage", "Usage"},
	{"top", "Overview; Overview"},
	{"put /example/k v", "Put /example/k v 0s"},
	{"put /example/k v --ttl 90s", "Put /example/k v 1m30s"},
	{"put --ttl 48h hex:6b -", "Put k of standard input 48h0m0s"},
	{"get /example/k", "Get /example/k 0"},
	{"get --quorum 3 text:12D3K", "Get 12D3K 3"},
	{"unpublish /example/k", "Unpublish /example/k"},
	{"provide k", "Provide k"},
	{"provide b58:2w k hex:6c", "Provide p; Provide k; Provide l"},
	{"provide --file keys", "ProvideLater 2; RepublishStatus"},
	{"unprovide k l", "Unprovide k; Unprovide l"},
	{"unprovide --file keys", "UnprovideAll 2"},
	{"provides", "Provides"},
	{"find-providers k", "FindProviders k 0"},
	{"find-providers --count 5 k", "FindProviders k 5"},
	{"find-peer " + somePeer, "FindPeer " + somePeer},
	{"closest k", "Closest k"},
	{"ping " + somePeer, strings.Repeat("Ping "+somePeer+"; ", defaultPings-1) + "Ping " + somePeer},
	{"ping --count 1 " + someAddr, "Ping " + someAddr},
	{"explain get k", "Explain get k"},
	{"explain find-providers k --html page", "Explain find-providers k"},
	{"explain closest k", "Explain closest k"},
	{"explain list", "Traces 20"},
	{"explain list --count 1000", "Traces 1000"},
	{"explain show 7", "Traces 1000"},
	{"republish status", "RepublishStatus"},
	{"republish now", "RepublishStatus; RepublishNow"},
	{"republish now --wait", "RepublishStatus; RepublishNow; RepublishStatus"},
	{"log level", "LogLevels"},
	{"log level warn", "SetLogLevel  warn; LogLevels"},
	{"log level rpc debug", "SetLogLevel rpc debug; LogLevels"},
	{"backup saved", "Backup"},
	{"debug bundle saved", "DebugBundle"},
	{"debug bundle -", "DebugBundle"},
}

// answeredAtOnce are the questions without top, which waits for an interval when it gets an
// answer: see TestTopAsks.
func answeredAtOnce() []question {
	return slices.DeleteFunc(slices.Clone(questions), func(q question) bool { return q.line == "top" })
}

// content is a node that has an answer to every question.
func content() *scripted {
	return &scripted{
		health: api.Health{Healthy: true, Ready: true},
		found:  []api.Peer{{PeerID: somePeer, Addrs: []string{"/ip4/192.0.2.1/tcp/4011"}}, {PeerID: anotherPeer, Addrs: []string{}}},
		stored: api.Stored{StoredAt: 20, Sent: 20},
		value:  api.Value{Value: []byte("a value"), Responders: 3},
		traces: []api.Trace{{ID: 7, Kind: "find_value", Key: []byte("k"), Outcome: "ok", End: "enough"}},
		trace:  api.Trace{Kind: "find_value", Key: []byte("k"), Outcome: "ok", End: "enough"},
		levels: map[string]string{"": "info", "rpc": "debug"},
		file:   []byte("all that there is"),
	}
}

// twoKeys is the content of the file keys.
const twoKeys = "# two\nkey one\nkey two\n"

// shellWith is a shell with a file of two keys and something on standard input.
func shellWith(t *testing.T, b api.Backend) *shell {
	t.Helper()
	s := shellOf(t, b)
	require.NoError(t, os.WriteFile("keys", []byte(twoKeys), 0o600))
	s.stdin = "of standard input"
	return s
}

// A command sends the requests that its arguments and flags ask for, and no others.
func TestQuestions(t *testing.T) {
	for _, q := range answeredAtOnce() {
		t.Run(q.line, func(t *testing.T) {
			b := content()
			code, _, stderr := shellWith(t, b).run(q.line)
			require.Zero(t, code, stderr)
			require.Empty(t, stderr)
			require.Equal(t, q.asks, b.questions())
		})
	}
}

// questions has every command that uses the admin socket, except bench lookup, which asks
// for random keys.
func TestQuestionsOfEveryCommand(t *testing.T) {
	asked := map[string]bool{"holdfast serve": true, "holdfast bench lookup": true}
	root := (&app{}).root()
	for _, q := range questions {
		cmd, _, err := root.Find(strings.Fields(q.line))
		require.NoError(t, err)
		asked[cmd.CommandPath()] = true
	}
	asked["holdfast explain find-peer"] = true // its key is in no line of text: see TestExplainFindPeerAsksForItsBytes
	for _, path := range commandsWith(root, "api") {
		require.True(t, asked[path], path)
	}
}

func TestExplainFindPeerAsksForItsBytes(t *testing.T) {
	b := content()
	code, _, stderr := shellOf(t, b).run("explain find-peer " + somePeer)
	require.Zero(t, code, stderr)
	id, err := api.ParsePeer(somePeer)
	require.NoError(t, err)
	require.Equal(t, "Explain find-peer "+string(id), b.questions())
}

// exits are the exit codes for the errors of a daemon.
var exits = map[api.Code]int{
	api.CodeInvalid:     exitFailed,
	api.CodeNotFound:    exitNotFound,
	api.CodeNoPeers:     exitFailed,
	api.CodeTooLarge:    exitFailed,
	api.CodeBusy:        exitFailed,
	api.CodeTimeout:     exitFailed,
	api.CodeUnsupported: exitFailed,
	api.CodeInternal:    exitFailed,
}

// For every error of a daemon, each command exits with the code for it, prints the
// daemon's message on one line and no result, and leaves no file.
func TestRefusals(t *testing.T) {
	for _, q := range questions {
		t.Run(q.line, func(t *testing.T) {
			for reason, exit := range exits {
				b := &scripted{err: api.Errorf(reason, "the words of the daemon")}
				s := shellWith(t, b)
				code, stdout, stderr := s.run(q.line)
				require.Equal(t, exit, code, "%s: %s", reason, stderr)
				require.Regexp(t, `^holdfast: .*the words of the daemon\n$`, stderr)
				require.Empty(t, stdout)
				var said failure
				code, _, stderr = s.run(q.line, "--json")
				require.Equal(t, exit, code, "%s: %s", reason, stderr)
				require.NoError(t, json.Unmarshal([]byte(stderr), &said), stderr)
				require.Equal(t, exit, said.Code)
				require.Equal(t, string(reason), said.Reason)
				require.Contains(t, said.Error, "the words of the daemon")
				requireOnlyKeys(t)
			}
		})
	}
}

// requireOnlyKeys fails if a command has left more than the file of keys.
func requireOnlyKeys(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, f := range left {
		require.Equal(t, "keys", f.Name())
	}
}

// Without a daemon, each command exits with the code for that, names the socket, says
// what to do, prints no result, and creates neither file nor directory.
func TestNoDaemon(t *testing.T) {
	for _, q := range questions {
		t.Run(q.line, func(t *testing.T) {
			s := shellWith(t, nil)
			code, stdout, stderr := s.run(q.line)
			require.Equal(t, exitNoDaemon, code, stderr)
			require.Contains(t, stderr, "no daemon reached at "+s.socket+" ")
			require.Contains(t, stderr, "; start one with `holdfast serve`")
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			require.Empty(t, stdout)
			requireOnlyKeys(t)
		})
	}
}

// Commands that print items as they arrive print those that came before an error.
func TestListsThatBreakOff(t *testing.T) {
	b := content()
	b.err = api.Errorf(api.CodeTimeout, "too late")
	b.published = []api.Published{{Key: []byte("k"), Kind: "value"}}
	for line, items := range map[string]int{
		"find-providers k": 2, "find-providers k --json": 2, "provides --json": 1, "explain list --json": 1,
		"provides": 0, "explain list": 0, // tables, which are printed whole
	} {
		code, stdout, stderr := shellOf(t, b).run(line)
		require.Equal(t, exitFailed, code, line)
		require.Equal(t, items, strings.Count(stdout, "\n"), "%s: %s", line, stdout)
		require.Contains(t, stderr, "too late", line)
	}
}

// For a daemon that is unhealthy or not ready, the command prints the daemon's reason.
func TestHealthOverTheSocket(t *testing.T) {
	for _, c := range []struct {
		health      api.Health
		code, ready int
		says        string
	}{
		{api.Health{Healthy: true, Ready: true}, exitDone, exitDone, ""},
		{api.Health{Healthy: true, NotReady: "the table is empty"}, exitDone, exitFailed, "holdfast: not ready: the table is empty\n"},
		{api.Health{Problem: "the database\x1b[2J fails"}, exitFailed, exitFailed, "holdfast: not healthy: the database?[2J fails\n"},
		{api.Health{Ready: true}, exitFailed, exitFailed, "holdfast: not healthy: \n"},
	} {
		s := shellOf(t, &scripted{health: c.health})
		for line, want := range map[string]int{"health": c.code, "health --ready": c.ready} {
			code, stdout, stderr := s.run(line)
			require.Equal(t, want, code, stderr)
			if want == exitDone {
				require.Equal(t, "ok\n", stdout)
				continue
			}
			require.Empty(t, stdout)
			require.Equal(t, c.says, stderr)
		}
	}
}
