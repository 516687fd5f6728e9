package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/internal/config"
)

// healthTimeout bounds one check. It is long because a busy node is not a dead
// one.
const healthTimeout = 10 * time.Second

// healthPause is the time between two checks of `health --wait`.
const healthPause = 200 * time.Millisecond

// healthCommand is `holdfast health`.
type healthCommand struct {
	*app
	ready bool
	wait  time.Duration
}

func newHealth(a *app) *cobra.Command {
	c := &healthCommand{app: a}
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Check the health of the daemon",
		Long: `Check whether the daemon is healthy, within 10 s. This asks its health endpoint
(metrics.listen), or the admin socket if the endpoint is off or if --data-dir or --api is
given. Exit code 0: healthy, 1: not healthy, 4: no answer. With --ready, also check whether
it is ready: its routing table is usable and peers answer. With --wait, repeat the check until
it succeeds or the time is over, for example after a start.`,
		Example: `  holdfast health
  holdfast health --ready --wait 30s`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&c.ready, "ready", false, "also check whether the node is ready")
	cmd.Flags().DurationVar(&c.wait, "wait", 0, "repeat a failed check for this `time`")
	a.socketFlag(cmd.Flags())
	return cmd
}

// run checks the health, again and again with --wait. The error is that of the last check.
func (c *healthCommand) run(ctx context.Context) error {
	if c.wait < 0 {
		return usagef("--wait %s is negative", c.wait)
	}
	end := time.Now().Add(c.wait)
	for {
		err := c.check(ctx)
		if err == nil {
			return c.succeed()
		}
		if c.exitCode(err) == exitUsage || time.Until(end) < healthPause {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(healthPause):
		}
	}
}

// check asks the daemon once.
func (c *healthCommand) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	var err error
	where := c.addr()
	if where != "" {
		err = healthOverHTTP(ctx, where, c.ready)
	} else {
		where = "the admin socket"
		err = c.overSocket(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return api.Errorf(api.CodeNoDaemon, "no answer at %s within %s: the daemon is paused, hangs, or the machine is overloaded; look at its log and at what the process does, or restart it", where, healthTimeout)
	}
	return err
}

func (c *healthCommand) succeed() error {
	switch {
	case c.json && c.ready:
		return c.printJSON(map[string]bool{"healthy": true, "ready": true})
	case c.json:
		return c.printJSON(map[string]bool{"healthy": true})
	}
	return c.printf("ok\n")
}

// addr returns the configured address of the health endpoint. It returns "" if the
// command must use the admin socket: the endpoint is off or on a random port, or a flag
// names the daemon.
func (c *healthCommand) addr() string {
	loaded, err := c.load()
	if err != nil || c.dataDir != "" || c.socket != "" || loaded.Config.Metrics.Listen == config.Off {
		return ""
	}
	host, port, err := net.SplitHostPort(loaded.Config.Metrics.Listen)
	if err != nil || port == "0" {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func (c *healthCommand) overSocket(ctx context.Context) error {
	b, done, err := c.backend(ctx)
	if err != nil {
		return err
	}
	defer done()
	h, err := b.Health(ctx)
	switch {
	case err != nil:
		return err
	case !h.Healthy:
		return fmt.Errorf("not healthy: %s", columns.Printable(h.Problem))
	case c.ready && !h.Ready:
		return fmt.Errorf("not ready: %s", columns.Printable(h.NotReady))
	}
	return nil
}

func healthOverHTTP(ctx context.Context, addr string, ready bool) error {
	if err := askHealth(ctx, "http://"+addr+"/healthz", "healthy"); err != nil || !ready {
		return err
	}
	return askHealth(ctx, "http://"+addr+"/readyz", "ready")
}

func askHealth(ctx context.Context, url, what string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return api.Errorf(api.CodeNoDaemon, "no daemon reached at %s (%v); is it running, and metrics.listen the same here?", url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		reason, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
		return fmt.Errorf("not %s (%s): %s", what, resp.Status, columns.Printable(strings.TrimSpace(string(reason))))
	}
	return nil
}
