package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/verdict"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

var (
	errDraining      = errors.New("stopping")
	errDeaf          = errors.New("no listener is open any more")
	errBootstrapping = errors.New("the routing table is empty and no bootstrap peer has been asked yet")
)

// healthProbe is a key that is never stored. Reading it proves that the database answers.
var healthProbe = []byte("/health/probe")

// Healthy reports whether the database and the node's loop answer and a listener
// is open. It fails while the daemon stops.
func (d *Daemon) Healthy(ctx context.Context) error {
	if d.state.Load() == stateStopping {
		return errDraining
	}
	return within(ctx, func() error {
		if err := d.store.Err(); err != nil {
			return fmt.Errorf("database: %w", err)
		}
		if _, err := d.store.Value(time.Now(), healthProbe); err != nil && !errors.Is(err, records.ErrNotFound) {
			return fmt.Errorf("database: %w", err)
		}
		d.node.Status() // waits for the loop
		if len(d.host.Network().ListenAddresses()) == 0 {
			return errDeaf // libp2p closes a listener that fails
		}
		return nil
	})
}

// Ready reports whether the node is ready: it is healthy and has joined.
func (d *Daemon) Ready(ctx context.Context) error {
	if err := d.Healthy(ctx); err != nil {
		return err
	}
	s := d.node.Status()
	return d.joined(&s)
}

// joined reports whether the table was restored or bootstrap was tried, and the node is not
// alone: see verdict.Alone.
func (d *Daemon) joined(s *node.Status) error {
	if !s.Bootstrapped {
		return errBootstrapping
	}
	f := d.peerFacts(s)
	c, alone := verdict.Alone(&f)
	switch {
	case !alone:
		return nil
	case s.IsolatedSince.IsZero():
		return errors.New(c.String())
	}
	return fmt.Errorf("ISOLATED since %s (%s): no peer answers (%s in the routing table); the node tries again every %s",
		s.IsolatedSince.UTC().Format(time.RFC3339), time.Since(s.IsolatedSince).Round(time.Second), english.Plural(s.TablePeers, "peer", ""), dht.IsolatedRetry)
}

// health returns both for the admin socket. It takes no longer than over HTTP.
func (d *Daemon) health(ctx context.Context) api.Health {
	ctx, cancel := context.WithTimeout(ctx, webTimeout)
	defer cancel()
	if err := d.Healthy(ctx); err != nil {
		return api.Health{Problem: err.Error(), NotReady: err.Error()}
	}
	s := d.node.Status()
	if err := d.joined(&s); err != nil {
		return api.Health{Healthy: true, NotReady: err.Error()}
	}
	return api.Health{Healthy: true, Ready: true, Warnings: d.warnings()}
}

// warnings returns a line for each problem of a node that is ready.
func (d *Daemon) warnings() []string {
	s := d.node.Status()
	st := d.backend.status(&s)
	v := d.judge(&s, &st)
	return problems(&v)
}

// within runs f, and returns when f or ctx ends. f continues in its goroutine if ctx ends
// first.
func within(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer in time: %w", ctx.Err())
	}
}
