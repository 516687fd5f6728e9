package api

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answering returns a client of a daemon that gives one fixed answer, as another version
// might.
func answering(t *testing.T, answer string) *Client {
	return serving(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) })
}

// serving returns a client of a daemon that answers each request as handle does.
func serving(t *testing.T, handle http.HandlerFunc) *Client {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	s := &http.Server{Handler: handle}
	go func() { _ = s.Serve(l) }()
	c := NewClient(path)
	t.Cleanup(func() {
		c.Close()
		require.NoError(t, s.Close())
	})
	return c
}

// The client reads answers and lines of maxLine bytes, and rejects longer ones.
func TestMaxLine(t *testing.T) {
	fill := func(before, after string, size int) string {
		return before + strings.Repeat("x", size-len(before)-len(after)) + after
	}
	for over := range 2 {
		want := func(err error, op string) {
			if over == 0 {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, &Error{Code: CodeInternal}, "the daemon answers")
			require.ErrorContains(t, err, "answered "+op+" with more than 16 MiB in one piece")
		}
		_, err := answering(t, fill(`{"mode":"`, `"}`, maxLine+over)).Status(t.Context())
		want(err, opStatus)
		lines := fill(`{"item":{"kind":"`, `"}}`+"\n", maxLine+over) + `{"end":true}` + "\n"
		err = answering(t, lines).Traces(t.Context(), 1, func(Trace) error { return nil })
		want(err, opTraces)
	}
}

// A request of maxBody bytes is read; a longer one is rejected.
func TestMaxBody(t *testing.T) {
	c := serve(t, &fake{})
	for over, status := range []int{http.StatusOK, http.StatusRequestEntityTooLarge} {
		body := strings.Repeat(" ", maxBody+over-2) + "{}"
		resp, err := c.http.Post("http://x/v1/status", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, status, resp.StatusCode)
	}
}

// The server asks the node for at most MaxTraces traces.
func TestMaxTraces(t *testing.T) {
	c := serve(t, &fake{})
	for asked, want := range map[int]uint64{1: 1, MaxTraces: MaxTraces, MaxTraces + 1: MaxTraces} {
		require.NoError(t, c.Traces(t.Context(), asked, func(tr Trace) error { // its ID is the requested count
			require.Equal(t, want, tr.ID)
			return nil
		}))
	}
}

// The longest path of a socket is used as it is; a longer one goes through its directory.
func TestMaxSocketPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	path += strings.Repeat("s", maxSocketPath-len(path))
	short, dir, err := shorten(path)
	require.NoError(t, err)
	require.Nil(t, dir)
	require.Equal(t, path, short)
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	require.NoError(t, l.Close())

	_, err = net.Listen("unix", path+"s")
	require.Error(t, err, "otherwise the bound could be higher")
	short, dir, err = shorten(path + "s")
	require.NoError(t, err)
	defer dir.Close()
	require.LessOrEqual(t, len(short), maxSocketPath)
	l, err = net.Listen("unix", short)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

// A large write is sent in items of maxChunk bytes.
func TestMaxChunk(t *testing.T) {
	var sizes []int
	n, err := chunkWriter{func(item any) error {
		sizes = append(sizes, len(item.([]byte)))
		return nil
	}}.Write(make([]byte, 2*maxChunk+1))
	require.NoError(t, err)
	require.Equal(t, 2*maxChunk+1, n)
	require.Equal(t, []int{maxChunk, maxChunk, 1}, sizes)
}

// A line that does not parse ends the command at once, even if the daemon, of another
// version, keeps the answer open.
func TestForeignLine(t *testing.T) {
	c := serving(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("no JSON\n"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := c.Traces(ctx, 1, func(Trace) error { return nil })
	require.ErrorIs(t, err, &Error{Code: CodeInternal})
	require.ErrorContains(t, err, "unexpected answer")
}

// A line without its newline is truncated: the answer ended there, or the connection did.
func TestTruncatedLine(t *testing.T) {
	err := answering(t, `{"item":`).Traces(t.Context(), 1, func(Trace) error { return nil })
	require.ErrorContains(t, err, "unexpected answer")
	err = serving(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"item":`))
	}).Traces(t.Context(), 1, func(Trace) error { return nil })
	require.ErrorIs(t, err, ErrNoDaemon)
	require.ErrorContains(t, err, "went away")
}
