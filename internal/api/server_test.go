package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// fake answers with what it was given, or with err.
type fake struct {
	err  error
	gate chan struct{} // if not nil, Status waits for it or for its caller
	kept request       // arguments of the last call
}

var _ Backend = (*fake)(nil)

func (f *fake) Identity(context.Context) (Identity, error) {
	return Identity{PeerID: "me", Addrs: []string{"/ip4/1.2.3.4/tcp/1/p2p/me"}}, f.err
}

func (f *fake) Status(ctx context.Context) (Status, error) {
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			return Status{}, ctx.Err()
		}
	}
	return Status{State: "ready", LastExpiry: time.Unix(7, 0).UTC()}, f.err
}
func (f *fake) Health(context.Context) (Health, error) { return Health{Healthy: true}, f.err }

func (f *fake) Overview(context.Context) (Overview, error) {
	return Overview{Ring: make([]Sector, 2)}, f.err
}
func (f *fake) Table(context.Context) ([]TablePeer, error) { return []TablePeer{{CPL: 3}}, f.err }
func (f *fake) Peers(context.Context) ([]PeerInfo, error)  { return []PeerInfo{{PeerID: "p"}}, f.err }

func (f *fake) Usage(context.Context) ([]PeerUsage, error) {
	return []PeerUsage{{PeerID: "p", ByType: map[string]uint64{"PING": 1}}}, f.err
}

func (f *fake) Put(_ context.Context, key, value []byte, ttl time.Duration) (Stored, error) {
	f.kept = request{Key: key, Value: value, TTL: ttl}
	return Stored{StoredAt: 20}, f.err
}

func (f *fake) Get(_ context.Context, key []byte, quorum int) (Value, error) {
	return Value{Value: key, Responders: quorum}, f.err
}
func (f *fake) Unpublish(_ context.Context, key []byte) error { f.kept.Key = key; return f.err }

func (f *fake) Provide(_ context.Context, key []byte) (Stored, error) {
	return Stored{StoredAt: len(key)}, f.err
}

func (f *fake) ProvideLater(_ context.Context, keys [][]byte) (HandedOver, error) {
	return HandedOver{New: len(keys) - 1, Known: 1}, f.err
}

func (f *fake) UnprovideAll(_ context.Context, keys [][]byte) (Removed, error) {
	return Removed{Keys: len(keys)}, f.err
}
func (f *fake) Unprovide(_ context.Context, key []byte) error { f.kept.Key = key; return f.err }

func (f *fake) Provides(_ context.Context, fn func(Published) error) error {
	return errors.Join(fn(Published{Key: []byte{0xff}, Kind: "value"}), f.err)
}

func (f *fake) FindProviders(_ context.Context, key []byte, count int, fn func(Peer) error) error {
	for i := range count {
		if err := fn(Peer{PeerID: fmt.Sprint(i), Addrs: []string{string(key)}}); err != nil {
			return err
		}
	}
	return f.err
}
func (f *fake) FindPeer(_ context.Context, id string) (Peer, error) { return Peer{PeerID: id}, f.err }
func (f *fake) Closest(_ context.Context, key []byte) ([]Peer, error) {
	return []Peer{{PeerID: string(key)}}, f.err
}
func (f *fake) Ping(_ context.Context, target string) (Pong, error) {
	return Pong{PeerID: target}, f.err
}
func (f *fake) Explain(_ context.Context, lookup string, key []byte) (Trace, error) {
	return Trace{Kind: lookup, Key: key}, f.err
}

func (f *fake) Traces(_ context.Context, count int, fn func(Trace) error) error {
	return errors.Join(fn(Trace{ID: uint64(count)}), f.err)
}
func (f *fake) RepublishStatus(context.Context) (RepublishStatus, error) {
	return RepublishStatus{Keys: 3}, f.err
}
func (f *fake) RepublishNow(context.Context) error { return f.err }
func (f *fake) Backup(_ context.Context, w io.Writer) error {
	_, err := w.Write(bytes.Repeat([]byte{7}, 3*maxChunk+1))
	return errors.Join(err, f.err)
}
func (f *fake) DebugBundle(_ context.Context, w io.Writer) error {
	_, err := w.Write([]byte("bundle"))
	return errors.Join(err, f.err)
}
func (f *fake) LogLevels(context.Context) (map[string]string, error) {
	return map[string]string{"": "info"}, f.err
}
func (f *fake) SetLogLevel(_ context.Context, s, l string) error {
	f.kept = request{Subsystem: s, Level: l}
	return f.err
}

// serve starts a server of b on a socket and returns a client of it.
func serve(t *testing.T, b Backend) *Client {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := Listen(path)
	require.NoError(t, err)
	s := NewServer(l, b, slog.New(slog.DiscardHandler))
	c := NewClient(path)
	t.Cleanup(func() {
		c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Close(ctx))
		require.NoFileExists(t, path)
	})
	return c
}

func TestEveryOperation(t *testing.T) {
	f := &fake{}
	c, ctx := serve(t, f), t.Context()

	id, err := c.Identity(ctx)
	require.NoError(t, err)
	require.Equal(t, "me", id.PeerID)
	st, err := c.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, time.Unix(7, 0).UTC(), st.LastExpiry)
	require.True(t, st.LastRefresh.IsZero())
	table, err := c.Table(ctx)
	require.NoError(t, err)
	require.Equal(t, 3, table[0].CPL)
	peers, err := c.Peers(ctx)
	require.NoError(t, err)
	require.Equal(t, "p", peers[0].PeerID)

	stored, err := c.Put(ctx, []byte{1, 0xff}, []byte("v"), time.Second)
	require.NoError(t, err)
	require.Equal(t, 20, stored.StoredAt)
	require.Equal(t, request{Key: []byte{1, 0xff}, Value: []byte("v"), TTL: time.Second}, f.kept)
	v, err := c.Get(ctx, []byte{9}, 4)
	require.NoError(t, err)
	require.Equal(t, Value{Value: []byte{9}, Responders: 4}, v)
	require.NoError(t, c.Unpublish(ctx, []byte{5}))
	require.Equal(t, []byte{5}, f.kept.Key)
	stored, err = c.Provide(ctx, []byte{1, 2})
	require.NoError(t, err)
	require.Equal(t, 2, stored.StoredAt)
	require.NoError(t, c.Unprovide(ctx, []byte{6}))
	require.Equal(t, []byte{6}, f.kept.Key)

	p, err := c.FindPeer(ctx, "x")
	require.NoError(t, err)
	require.Equal(t, "x", p.PeerID)
	closest, err := c.Closest(ctx, []byte("k"))
	require.NoError(t, err)
	require.Equal(t, "k", closest[0].PeerID)
	pong, err := c.Ping(ctx, "y")
	require.NoError(t, err)
	require.Equal(t, "y", pong.PeerID)
	rs, err := c.RepublishStatus(ctx)
	require.NoError(t, err)
	require.Equal(t, 3, rs.Keys)
	require.NoError(t, c.RepublishNow(ctx))
	levels, err := c.LogLevels(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"": "info"}, levels)
	require.NoError(t, c.SetLogLevel(ctx, "node", "debug"))
	require.Equal(t, request{Subsystem: "node", Level: "debug"}, f.kept)
}

func TestStreams(t *testing.T) {
	f := &fake{}
	c, ctx := serve(t, f), t.Context()
	n := 0
	require.NoError(t, c.FindProviders(ctx, []byte("k"), 12_000, func(p Peer) error {
		require.Equal(t, Peer{PeerID: fmt.Sprint(n), Addrs: []string{"k"}}, p)
		n++
		return nil
	}))
	require.Equal(t, 12_000, n)

	stop := errors.New("enough")
	require.ErrorIs(t, c.FindProviders(ctx, []byte("k"), 5, func(Peer) error { return stop }), stop)

	var published []Published
	require.NoError(t, c.Provides(ctx, func(p Published) error { published = append(published, p); return nil }))
	require.Equal(t, []Published{{Key: []byte{0xff}, Kind: "value"}}, published)

	keys := make([][]byte, MaxKeys)
	for i := range keys {
		keys[i] = bytes.Repeat([]byte{0xff}, 80) // the longest
	}
	h, err := c.ProvideLater(ctx, keys)
	require.NoError(t, err)
	require.Equal(t, HandedOver{New: MaxKeys - 1, Known: 1}, h)
	r, err := c.UnprovideAll(ctx, keys)
	require.NoError(t, err)
	require.Equal(t, Removed{Keys: MaxKeys}, r)

	var copied bytes.Buffer
	require.NoError(t, c.Backup(ctx, &copied))
	require.Equal(t, bytes.Repeat([]byte{7}, 3*maxChunk+1), copied.Bytes())

	f.err = ErrNotFound
	require.ErrorIs(t, c.FindProviders(ctx, []byte("k"), 1, func(Peer) error { return nil }), ErrNotFound)
}

func TestErrorsKeepTheirCode(t *testing.T) {
	f := &fake{}
	c := serve(t, f)
	for _, want := range []*Error{ErrInvalid, ErrNotFound, ErrNoPeers, ErrTooLarge, ErrBusy, ErrTimeout, ErrUnsupported} {
		f.err = fmt.Errorf("of key %q: %w", "k", want)
		_, err := c.Get(t.Context(), []byte("k"), 0)
		require.ErrorIs(t, err, want)
		require.Equal(t, f.err.Error(), err.Error())
	}
	f.err = &Error{Code: "of_another_version", Message: "no status"}
	require.EqualError(t, c.Unpublish(t.Context(), []byte("k")), "no status")
	f.err = context.DeadlineExceeded
	require.ErrorIs(t, c.Unpublish(t.Context(), []byte("k")), ErrTimeout)
	f.err = errors.New("the disk is on fire")
	err := c.Unpublish(t.Context(), []byte("k"))
	require.EqualError(t, err, "the disk is on fire")
	require.NotErrorIs(t, err, ErrNotFound)
}

func TestNoDaemon(t *testing.T) {
	c := NewClient(filepath.Join(t.TempDir(), "none.sock"))
	c.Advice = "; start one with `holdfast serve`"
	_, err := c.Status(t.Context())
	require.ErrorIs(t, err, ErrNoDaemon)
	require.ErrorContains(t, err, "none.sock")
	require.ErrorContains(t, err, "holdfast serve")
}

// A client that gives up ends the operation in the daemon.
func TestCancelReachesTheBackend(t *testing.T) {
	f := &fake{gate: make(chan struct{})}
	c := serve(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := c.Status(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestTooManyRequests(t *testing.T) {
	f := &fake{gate: make(chan struct{})}
	c := serve(t, f)
	results := make(chan error, maxRequests+20)
	for range cap(results) {
		go func() {
			_, err := c.Status(t.Context())
			results <- err
		}()
	}
	for range 20 {
		require.ErrorIs(t, <-results, ErrBusy)
	}
	close(f.gate)
	for range maxRequests {
		require.NoError(t, <-results)
	}
}

func TestBadRequests(t *testing.T) {
	c := serve(t, &fake{})
	for _, r := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/put", "{", 400},
		{"POST", "/v1/put", `{"key": 3}`, 400},
		{"POST", "/v1/put", `{"value":"` + strings.Repeat("a", maxBody) + `"}`, 413},
		{"POST", "/v1/traces", `{"count": -1}`, 400},
		{"POST", "/v1/find-providers", `{"count": -1}`, 400},
		{"POST", "/v1/get", `{"quorum": -1}`, 400},
		{"POST", "/v1/put", `{"ttl": -1}`, 400},
		{"POST", "/v1/nothing", "{}", 404},
		{"GET", "/v1/status", "", 405},
	} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, "http://x"+r.path, strings.NewReader(r.body))
		require.NoError(t, err)
		resp, err := c.http.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, r.status, resp.StatusCode, r.path)
	}
	for _, op := range []string{opProvideLater, opUnprovideAll} {
		require.ErrorIs(t, c.call(t.Context(), op, request{Keys: make([][]byte, MaxKeys+1)}, nil), ErrTooLarge)
	}
	require.ErrorContains(t, c.call(t.Context(), "newer-operation", request{}, nil), "same version")
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("long", 30), "s.sock") // over 107 bytes
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	l, err := Listen(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o660), info.Mode().Perm())

	_, err = Listen(path)
	require.ErrorIs(t, err, ErrSocketInUse)
	require.ErrorContains(t, err, path)

	// A process that died leaves its socket behind; the next one takes it over.
	l.(*listener).Listener.Close()
	require.FileExists(t, path)
	l, err = Listen(path)
	require.NoError(t, err)
	conn, err := dial(t.Context(), path)
	require.NoError(t, err)
	conn.Close()
	require.NoError(t, l.Close())
	require.NoFileExists(t, path)
	require.ErrorIs(t, l.Close(), net.ErrClosed)

	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err = Listen(path)
	require.ErrorContains(t, err, "is not a socket")
}
