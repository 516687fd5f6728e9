package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// Peers of the tests, with the IDs of an Ed25519 and of an RSA key.
const (
	somePeer    = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
	anotherPeer = "QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB"
)

// scripted is a node that returns the answers of a test and records the requests. With
// err set, it answers every request with err, after the items of a list.
type scripted struct {
	mu    sync.Mutex
	asked []string // "Get k 3"
	err   error

	identity  api.Identity
	status    api.Status
	health    api.Health
	overview  api.Overview
	table     []api.TablePeer
	peers     []api.PeerInfo
	usage     []api.PeerUsage
	stored    api.Stored
	value     api.Value
	published []api.Published
	found     []api.Peer
	pong      api.Pong
	trace     api.Trace
	traces    []api.Trace
	republish api.RepublishStatus
	levels    map[string]string
	file      []byte // of a backup, and of a debug bundle
}

var _ api.Backend = (*scripted)(nil)

// note records a request.
func (s *scripted) note(question string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, strings.TrimSuffix(fmt.Sprintln(append([]any{question}, args...)...), "\n"))
	return s.err
}

// questions returns the requests since the last call.
func (s *scripted) questions() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.asked = nil }()
	return strings.Join(s.asked, "; ")
}

// each passes on the items of a list, then returns the error.
func each[T any](items []T, fn func(T) error, err error) error {
	for _, item := range items {
		if e := fn(item); e != nil {
			return e
		}
	}
	return err
}

func (s *scripted) Identity(context.Context) (api.Identity, error) {
	return s.identity, s.note("Identity")
}
func (s *scripted) Status(context.Context) (api.Status, error) { return s.status, s.note("Status") }
func (s *scripted) Health(context.Context) (api.Health, error) { return s.health, s.note("Health") }
func (s *scripted) Overview(context.Context) (api.Overview, error) {
	return s.overview, s.note("Overview")
}
func (s *scripted) Table(context.Context) ([]api.TablePeer, error) { return s.table, s.note("Table") }
func (s *scripted) Peers(context.Context) ([]api.PeerInfo, error)  { return s.peers, s.note("Peers") }
func (s *scripted) Usage(context.Context) ([]api.PeerUsage, error) { return s.usage, s.note("Usage") }

func (s *scripted) Put(_ context.Context, key, value []byte, ttl time.Duration) (api.Stored, error) {
	return s.stored, s.note("Put", string(key), string(value), ttl)
}

func (s *scripted) Get(_ context.Context, key []byte, quorum int) (api.Value, error) {
	return s.value, s.note("Get", string(key), quorum)
}

func (s *scripted) Unpublish(_ context.Context, key []byte) error {
	return s.note("Unpublish", string(key))
}

func (s *scripted) Provide(_ context.Context, key []byte) (api.Stored, error) {
	return s.stored, s.note("Provide", string(key))
}

func (s *scripted) ProvideLater(_ context.Context, keys [][]byte) (api.HandedOver, error) {
	return api.HandedOver{New: len(keys)}, s.note("ProvideLater", len(keys))
}

func (s *scripted) Unprovide(_ context.Context, key []byte) error {
	return s.note("Unprovide", string(key))
}

func (s *scripted) UnprovideAll(_ context.Context, keys [][]byte) (api.Removed, error) {
	return api.Removed{Keys: len(keys)}, s.note("UnprovideAll", len(keys))
}

func (s *scripted) Provides(_ context.Context, fn func(api.Published) error) error {
	return each(s.published, fn, s.note("Provides"))
}

func (s *scripted) FindProviders(_ context.Context, key []byte, count int, fn func(api.Peer) error) error {
	return each(s.found, fn, s.note("FindProviders", string(key), count))
}

func (s *scripted) FindPeer(_ context.Context, id string) (p api.Peer, err error) {
	if len(s.found) > 0 {
		p = s.found[0]
	}
	return p, s.note("FindPeer", id)
}

func (s *scripted) Closest(_ context.Context, key []byte) ([]api.Peer, error) {
	return s.found, s.note("Closest", string(key))
}

func (s *scripted) Ping(_ context.Context, target string) (api.Pong, error) {
	return s.pong, s.note("Ping", target)
}

func (s *scripted) Explain(_ context.Context, lookup string, key []byte) (api.Trace, error) {
	return s.trace, s.note("Explain", lookup, string(key))
}

func (s *scripted) Traces(_ context.Context, count int, fn func(api.Trace) error) error {
	return each(s.traces, fn, s.note("Traces", count))
}

func (s *scripted) RepublishStatus(context.Context) (api.RepublishStatus, error) {
	return s.republish, s.note("RepublishStatus")
}
func (s *scripted) RepublishNow(context.Context) error { return s.note("RepublishNow") }

func (s *scripted) Backup(_ context.Context, w io.Writer) error {
	_, _ = w.Write(s.file)
	return s.note("Backup")
}

func (s *scripted) DebugBundle(_ context.Context, w io.Writer) error {
	_, _ = w.Write(s.file)
	return s.note("DebugBundle")
}

func (s *scripted) LogLevels(context.Context) (map[string]string, error) {
	return s.levels, s.note("LogLevels")
}

func (s *scripted) SetLogLevel(_ context.Context, subsystem, level string) error {
	return s.note("SetLogLevel", subsystem, level)
}

// shell runs command lines in its own directory, with the socket of a daemon.
type shell struct {
	t      *testing.T
	socket string
	env    map[string]string // of what is asked by name
	stdin  string

	environ []string // of settings
}

// shellOf returns a shell whose daemon answers with b; nil: no daemon runs.
func shellOf(t *testing.T, b api.Backend) *shell {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	s := &shell{t: t, socket: filepath.Join(t.TempDir(), "s"), env: map[string]string{"HOME": filepath.Join(dir, "home")}}
	if b == nil {
		return s
	}
	s.socket = socketOf(t, b)
	return s
}

// socketOf serves b on an admin socket.
func socketOf(t *testing.T, b api.Backend) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := api.Listen(socket)
	require.NoError(t, err)
	server := api.NewServer(l, b, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = server.Close(context.Background()) })
	return socket
}

// run runs a command line that asks the daemon.
func (s *shell) run(line string, more ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	return s.runIn(s.t.Context(), append(append(strings.Fields(line), more...), "--api", s.socket)...)
}

// runIn runs a command line unchanged.
func (s *shell) runIn(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	var out, errs bytes.Buffer
	a := &app{in: strings.NewReader(s.stdin), out: &out, errs: &errs, getenv: func(name string) string { return s.env[name] }, environ: s.environ, systemRoot: s.env["HOME"]}
	code = a.run(ctx, args)
	return code, out.String(), errs.String()
}

// commandsWith returns the paths of the commands that have a flag, visible or hidden.
func commandsWith(root *cobra.Command, flag string) (paths []string) {
	eachCommand(root, func(cmd *cobra.Command) {
		if cmd.Flags().Lookup(flag) != nil {
			paths = append(paths, cmd.CommandPath())
		}
	})
	return paths
}
