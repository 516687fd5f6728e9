package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// healthTimeout bounds one check. It is long because a busy node is not a dead
// one.
const healthTimeout = 10 * time.Second

// leastHealthTimeout bounds the last check of `health --wait` if less time is left.
const leastHealthTimeout = time.Second

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
		Long: `Check whether the daemon is healthy, within 10 s. This asks the admin socket. If no daemon
answers there, it asks the health endpoint, but only at an address that metrics.listen sets
or if this user may not use the socket: at the default address another node may answer.
Exit code 0: healthy, 1: not healthy, 4: no answer, or another node answers. With --ready,
also check whether it is ready: its routing table is usable and peers answer. A ready node
with a problem, such as a full disk, prints it after "ok". With --wait, repeat the check
until it succeeds or the time is over, for example after a start.`,
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

// run checks the health, repeatedly with --wait. The error is that of the last check.
func (c *healthCommand) run(ctx context.Context) error {
	if c.wait < 0 {
		return usagef("--wait %s is negative", c.wait)
	}
	end := time.Now().Add(c.wait)
	for timeout := healthTimeout; ; timeout = nextHealthTimeout(time.Until(end)) {
		warnings, err := c.check(ctx, timeout)
		if err == nil {
			return c.succeed(warnings)
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

// nextHealthTimeout bounds a check after the first one, with the time left of --wait.
func nextHealthTimeout(left time.Duration) time.Duration {
	return min(healthTimeout, max(leastHealthTimeout, left))
}

// check asks the daemon once. It returns the problems of a node that is ready, with --ready.
func (c *healthCommand) check(ctx context.Context, timeout time.Duration) (warnings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	where := "the admin socket"
	warnings, err = c.overSocket(ctx)
	if addr, f := c.endpoint(); addr != "" && errors.Is(err, api.ErrNoDaemon) {
		where = addr
		if err = otherNode(ctx, addr, f.PeerID()); err == nil {
			warnings, err = healthOverHTTP(ctx, addr, c.ready, f.Unit())
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = api.Errorf(api.CodeNoDaemon, "no answer at %s within %s: the daemon is paused, hangs, or the machine is overloaded; look at its log and at what the process does, or restart it", where, timeout.Round(time.Second))
	}
	return warnings, err
}

func (c *healthCommand) succeed(warnings []string) error {
	switch {
	case c.json && c.ready:
		out := map[string]any{"healthy": true, "ready": true}
		if len(warnings) > 0 {
			out["warnings"] = warnings
		}
		return c.printJSON(out)
	case c.json:
		return c.printJSON(map[string]bool{"healthy": true})
	}
	text := "ok\n"
	for _, w := range warnings {
		text += columns.Printable(w) + "\n"
	}
	return c.printf("%s", text)
}

// endpoint returns the address of the node's health endpoint, and its finder. The address is
// "" if the command must use the admin socket: a flag names the daemon, the endpoint is off
// or on a random port, or its address is the default one and the socket is enough. A daemon
// that finds the default port taken uses another port.
func (c *healthCommand) endpoint() (addr string, f daemon.Finder) {
	loaded, err := c.load()
	if err != nil || c.dataDir != "" || c.socket != "" || loaded.Config.Metrics.Listen == config.Off {
		return "", f
	}
	f = c.finder(loaded)
	if loaded.Origin("metrics.listen").Source == "" {
		if socket, err := f.Socket(); err != nil || !daemon.Denied(socket) {
			return "", f
		}
	}
	host, port, err := net.SplitHostPort(loaded.Config.Metrics.Listen)
	if err != nil || port == "0" {
		return "", f
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), f
}

func (c *healthCommand) overSocket(ctx context.Context) ([]string, error) {
	b, done, err := c.backend(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	h, err := b.Health(ctx)
	switch {
	case err != nil:
		return nil, err
	case !h.Healthy:
		return nil, fmt.Errorf("not healthy: %s", columns.Printable(h.Problem))
	case !c.ready:
		return nil, nil
	case !h.Ready:
		return nil, fmt.Errorf("not ready: %s", columns.Printable(h.NotReady))
	}
	return h.Warnings, nil
}

// maxStatus bounds what is read of /status.json, in bytes. It has at most some hundred KiB.
const maxStatus = 4 << 20

// otherNode returns an error if the node at addr is not the one with the peer ID. It returns
// nil if either peer ID is unknown: this user cannot read identity.key, or the endpoint does
// not say.
func otherNode(ctx context.Context, addr string, id peer.ID) error {
	if id == "" {
		return nil
	}
	url := "http://" + addr + "/status.json"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil // the check itself reports it
	}
	defer resp.Body.Close()
	var at struct {
		Identity struct {
			PeerID string `json:"peer_id"`
		} `json:"identity"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(&at) != nil || at.Identity.PeerID == "" || at.Identity.PeerID == id.String() {
		return nil
	}
	return api.Errorf(api.CodeNoDaemon, "the node at http://%s is another one: its peer ID is %s, not %s", addr, columns.Printable(at.Identity.PeerID), id)
}

func healthOverHTTP(ctx context.Context, addr string, ready bool, unit string) ([]string, error) {
	if _, err := askHealth(ctx, "http://"+addr+"/healthz", "healthy", unit); err != nil || !ready {
		return nil, err
	}
	return askHealth(ctx, "http://"+addr+"/readyz", "ready", unit)
}

// healthText bounds what is read of an answer, in bytes.
const healthText = 8 << 10

// askHealth returns the lines after "ok".
func askHealth(ctx context.Context, url, what, unit string) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if unit != "" {
			return nil, api.Errorf(api.CodeNoDaemon, "no daemon reached at %s (%v); `systemctl status %s` shows why, or metrics.listen is not the same here", url, err, unit)
		}
		return nil, api.Errorf(api.CodeNoDaemon, "no daemon reached at %s (%v); is it running, and metrics.listen the same here?", url, err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, healthText))
	text := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("not %s (%s): %s", what, resp.Status, columns.Printable(text))
	}
	return strings.Split(text, "\n")[1:], nil
}
