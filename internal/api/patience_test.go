package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pipes is a listener in this process, so that a server and its clients can run in
// virtual time. Connections that are never accepted are like those of a paused process.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn, 64), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) client() *Client {
	c := NewClient("pipe")
	c.http.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		mine, its := net.Pipe()
		p.conns <- its
		return mine, nil
	}}
	return c
}

// operations has one call of each operation that a command waits for.
var operations = map[string]func(ctx context.Context, c *Client) error{
	opIdentity:        func(ctx context.Context, c *Client) error { _, err := c.Identity(ctx); return err },
	opStatus:          func(ctx context.Context, c *Client) error { _, err := c.Status(ctx); return err },
	opHealth:          func(ctx context.Context, c *Client) error { _, err := c.Health(ctx); return err },
	opOverview:        func(ctx context.Context, c *Client) error { _, err := c.Overview(ctx); return err },
	opTable:           func(ctx context.Context, c *Client) error { _, err := c.Table(ctx); return err },
	opPeers:           func(ctx context.Context, c *Client) error { _, err := c.Peers(ctx); return err },
	opUsage:           func(ctx context.Context, c *Client) error { _, err := c.Usage(ctx); return err },
	opPut:             func(ctx context.Context, c *Client) error { _, err := c.Put(ctx, nil, nil, 0); return err },
	opGet:             func(ctx context.Context, c *Client) error { _, err := c.Get(ctx, nil, 0); return err },
	opUnpublish:       func(ctx context.Context, c *Client) error { return c.Unpublish(ctx, nil) },
	opProvide:         func(ctx context.Context, c *Client) error { _, err := c.Provide(ctx, nil); return err },
	opUnprovide:       func(ctx context.Context, c *Client) error { return c.Unprovide(ctx, nil) },
	opFindPeer:        func(ctx context.Context, c *Client) error { _, err := c.FindPeer(ctx, ""); return err },
	opClosest:         func(ctx context.Context, c *Client) error { _, err := c.Closest(ctx, nil); return err },
	opPing:            func(ctx context.Context, c *Client) error { _, err := c.Ping(ctx, ""); return err },
	opExplain:         func(ctx context.Context, c *Client) error { _, err := c.Explain(ctx, "", nil); return err },
	opRepublishStatus: func(ctx context.Context, c *Client) error { _, err := c.RepublishStatus(ctx); return err },
	opRepublishNow:    func(ctx context.Context, c *Client) error { return c.RepublishNow(ctx) },
	opLogLevels:       func(ctx context.Context, c *Client) error { _, err := c.LogLevels(ctx); return err },
	opSetLogLevel:     func(ctx context.Context, c *Client) error { return c.SetLogLevel(ctx, "", "") },
	opBackup:          func(ctx context.Context, c *Client) error { return c.Backup(ctx, io.Discard) },
	opDebugBundle:     func(ctx context.Context, c *Client) error { return c.DebugBundle(ctx, io.Discard) },
	opProvides: func(ctx context.Context, c *Client) error {
		return c.Provides(ctx, func(Published) error { return nil })
	},
	opFindProviders: func(ctx context.Context, c *Client) error {
		return c.FindProviders(ctx, nil, 0, func(Peer) error { return nil })
	},
	opTraces:       func(ctx context.Context, c *Client) error { return c.Traces(ctx, 1, func(Trace) error { return nil }) },
	opProvideLater: func(ctx context.Context, c *Client) error { _, err := c.ProvideLater(ctx, [][]byte{{1}}); return err },
	opUnprovideAll: func(ctx context.Context, c *Client) error { _, err := c.UnprovideAll(ctx, [][]byte{{1}}); return err },
}

// The kernel accepts connections for a paused daemon, but the daemon does not answer.
func TestPausedDaemon(t *testing.T) {
	s := &Server{backend: &fake{}}
	require.Len(t, operations, len(s.unaries())+len(s.streams()), "every operation is tried")
	for op, ask := range operations {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newPipes().client()
				defer c.Close()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				start := time.Now()
				err := ask(ctx, c)
				require.ErrorIs(t, err, ErrNoDaemon)
				require.ErrorContains(t, err, "does not answer: waited 15s for "+op)
				require.Equal(t, 15*time.Second, time.Since(start))
			})
		})
	}
}

// slow is a Backend whose lookups and backups take an hour.
type slow struct {
	fake
	hangs atomic.Bool // the loop hangs: Status does not answer
}

func (s *slow) Status(ctx context.Context) (Status, error) {
	if s.hangs.Load() {
		<-ctx.Done()
		return Status{}, ctx.Err()
	}
	return s.fake.Status(ctx)
}

func (s *slow) work(ctx context.Context) error {
	select {
	case <-time.After(time.Hour):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slow) Get(ctx context.Context, _ []byte, _ int) (Value, error) {
	return Value{}, s.work(ctx)
}

func (s *slow) Backup(ctx context.Context, w io.Writer) error {
	_, err := w.Write([]byte("begin"))
	return errors.Join(err, s.work(ctx))
}

func (s *slow) DebugBundle(ctx context.Context, w io.Writer) error { return s.Backup(ctx, w) }

// The client waits for long operations while the daemon answers other requests, and no
// longer. A daemon that hangs still answers the operations that show why it hangs.
func TestLongWork(t *testing.T) {
	for op, atHanging := range map[string]time.Duration{
		opGet: 15 * time.Second, opBackup: 15 * time.Second, opDebugBundle: time.Hour,
	} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, b := newPipes(), &slow{}
				s := NewServer(l, b, slog.New(slog.DiscardHandler))
				c := l.client()
				start := time.Now()
				require.NoError(t, operations[op](t.Context(), c))
				require.Equal(t, time.Hour, time.Since(start))

				b.hangs.Store(true)
				start = time.Now()
				err := operations[op](t.Context(), c)
				if atHanging < time.Hour {
					require.ErrorIs(t, err, ErrNoDaemon)
				} else {
					require.NoError(t, err)
				}
				require.Equal(t, atHanging, time.Since(start))
				c.Close()
				require.NoError(t, s.Close(t.Context()))
			})
		})
	}
}
