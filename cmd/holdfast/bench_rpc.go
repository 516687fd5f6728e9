package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/daemon"
	"github.com/holdfast-dht/holdfast/internal/rpcbench"
)

// benchRPCCommand is `holdfast bench rpc`.
type benchRPCCommand struct {
	*app
	cfg rpcbench.Config
}

func newBenchRPC(a *app) *cobra.Command {
	c := &benchRPCCommand{app: a}
	cmd := &cobra.Command{
		Use:   "rpc [MULTIADDR]",
		Short: "Measure how many requests a node answers, compared with the limit of libp2p",
		Long: `Measure how many requests a second a node answers: PING, FIND_NODE, GET_PROVIDERS, and
ADD_PROVIDER until the record is visible. Each is shown with its limit, which is measured in
turns with it: an echo protocol on the same hosts that transfers as many bytes and does
nothing else. The share of the limit is comparable between machines.

Without an address, the command starts its own daemon with neighbours and records, in a
directory below --dir. With an address it sends requests to that node, never writes to it,
and uses libp2p's ping as the limit.`,
		Example: `  holdfast bench rpc
  holdfast bench rpc --transport quic --records 100000 --op FIND_NODE
  holdfast bench rpc /ip4/192.0.2.1/tcp/4011/p2p/12D3KooW... --streams 8`,
		Args: atMost("[MULTIADDR]"),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringSliceVar(&c.cfg.Operations, "op", nil, "`operations` to measure: "+strings.Join(rpcbench.Operations(), ", "))
	f.StringVar(&c.cfg.Transport, "transport", "tcp", "tcp or quic")
	f.IntVar(&c.cfg.Peers, "peers", 4, "`hosts` that send requests")
	f.IntVar(&c.cfg.Streams, "streams", 64, "concurrent `streams`, of all hosts together")
	f.IntVar(&c.cfg.Announcers, "announcers", 64, "`hosts` that announce, for ADD_PROVIDER")
	f.IntVar(&c.cfg.Announcements, "announcements", 100_000, "`records` announced in a round of ADD_PROVIDER")
	f.IntVar(&c.cfg.Records, "records", 1_000_000, "`records` in the daemon that bench starts")
	f.IntVar(&c.cfg.Rounds, "rounds", 5, "`rounds` of limit and measurement; the result is their median")
	f.DurationVar(&c.cfg.Window, "window", 0, "`duration` of each measurement (0: 1s)")
	f.StringVar(&c.cfg.Dir, "dir", ".", "`directory` on the disk to measure")
	f.StringVar(&a.prefix, "protocol-prefix", "", "`prefix` of the protocol of the node at MULTIADDR (network.protocol_prefix)")
	return cmd
}

func (c *benchRPCCommand) run(cmd *cobra.Command, args []string) error {
	if err := c.cfg.Validate(); err != nil {
		return usageError{err}
	}
	if len(args) == 1 {
		if name := changed(cmd, "announcers", "announcements", "records", "dir"); name != "" {
			return usagef("--%s is for the daemon that bench starts; it cannot be used with MULTIADDR", name)
		}
		return c.other(cmd.Context(), args[0])
	}
	if changed(cmd, "protocol-prefix") != "" {
		return usagef("--protocol-prefix needs MULTIADDR")
	}
	return c.own(cmd.Context())
}

// other measures the node at an address.
func (c *benchRPCCommand) other(ctx context.Context, addr string) error {
	loaded, err := c.load()
	if err != nil {
		return err
	}
	infos, err := daemon.ParseBootstrap([]string{addr})
	if err != nil {
		return usageError{err}
	}
	var results benchResults
	err = rpcbench.Other(ctx, c.cfg, infos[0], loaded.Config.Network.ProtocolPrefix, c.showStep, results.add(c.app))
	return results.print(c.app, err)
}

// own measures a daemon that it starts.
func (c *benchRPCCommand) own(ctx context.Context) error {
	dir, err := os.MkdirTemp(c.cfg.Dir, "holdfast-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	cfg := c.cfg
	cfg.Dir = dir
	var results benchResults
	err = rpcbench.Own(ctx, cfg, c.showStep, results.add(c.app))
	return results.print(c.app, err)
}

// showStep shows the current step, on a terminal.
func (c *benchRPCCommand) showStep(what string) {
	if isTerminal(c.errs) {
		fmt.Fprint(c.errs, "\r", ansi.EraseLineRight, what)
	}
}

// benchResults are the rows of a measurement.
type benchResults struct{ rows [][]string }

// add prints a result as JSON at once, or keeps it for the table.
func (b *benchResults) add(a *app) func(rpcbench.Result) {
	return func(r rpcbench.Result) {
		if a.json {
			_ = a.printJSON(r) // it fails only if the reader is gone
			return
		}
		rate := func(v float64) string { return humanize.Comma(int64(v)) + "/s" }
		b.rows = append(b.rows, []string{
			r.Operation, r.Transport, rate(r.PerSecond), rate(r.Limit), r.LimitName,
			fmt.Sprintf("%.2f", r.Share), fmt.Sprintf("%.2f to %.2f", r.ShareLow, r.ShareHigh),
			fmt.Sprintf("%.1f/%.1f us", r.CPU, r.LimitCPU), fmt.Sprintf("%.2f", r.CPUShare),
			fmt.Sprint(r.RequestBytes), fmt.Sprint(r.ReplyBytes), fmt.Sprint(r.Streams),
		})
	}
}

// print prints the table of the results, also if err ended the measurement early.
func (b *benchResults) print(a *app, err error) error {
	if isTerminal(a.errs) {
		fmt.Fprint(a.errs, "\r", ansi.EraseLineRight)
	}
	if len(b.rows) > 0 {
		header := []string{"OPERATION", "OVER", "RATE", "LIMIT", "OF", "SHARE", "OF ROUNDS", "CPU/LIMIT", "CPU SHARE", "REQUEST", "REPLY", "STREAMS"}
		if e := a.table(header, b.rows); e != nil {
			return e
		}
	}
	return err
}
