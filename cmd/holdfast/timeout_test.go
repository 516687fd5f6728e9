package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// silent is a daemon that accepts requests and does not answer.
type silent struct{ api.Backend }

func (silent) Ping(ctx context.Context, _ string) (api.Pong, error) {
	<-ctx.Done()
	return api.Pong{}, ctx.Err()
}

func (silent) Explain(ctx context.Context, _ string, _ []byte) (api.Trace, error) {
	<-ctx.Done()
	return api.Trace{}, ctx.Err()
}

func (silent) Status(ctx context.Context) (api.Status, error) {
	<-ctx.Done()
	return api.Status{}, ctx.Err()
}

// A command that --timeout ends says so, and what it was doing.
func TestTimeout(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := api.Listen(socket)
	require.NoError(t, err)
	s := api.NewServer(l, silent{}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	for command, says := range map[string]string{
		"status":           "holdfast: gave up after 10ms (--timeout)\n",
		"bench lookup":     "holdfast: gave up after 10ms (--timeout): lookup: context deadline exceeded\n",
		"ping " + somePeer: "holdfast: gave up after 10ms (--timeout): ping " + somePeer + ": context deadline exceeded\n",
	} {
		var errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &bytes.Buffer{}, errs: &errs, getenv: func(string) string { return "" }}
		code := a.run(t.Context(), append(strings.Fields(command), "--timeout", "10ms", "--api", socket))
		require.Equal(t, exitFailed, code, errs.String())
		require.Equal(t, says, errs.String())
	}
}

func TestNegativeTimeout(t *testing.T) {
	var errs bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &bytes.Buffer{}, errs: &errs, getenv: func(string) string { return "" }}
	require.Equal(t, exitUsage, a.run(t.Context(), []string{"status", "--timeout", "-1s"}))
	require.Contains(t, errs.String(), "holdfast: --timeout is -1s; it is 0 or more\n")
}

// A deadline that is not that of --timeout is not reported as one.
func TestOtherDeadlines(t *testing.T) {
	a := &app{}
	err := a.gaveUp(t.Context(), fmt.Errorf("join: %w", context.DeadlineExceeded))
	require.EqualError(t, err, "join: context deadline exceeded")
}
