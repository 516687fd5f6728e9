package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

func newDebug(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "debug",
		Short:   "Diagnose a daemon",
		Example: `  holdfast debug bundle`,
	})
	cmd.AddCommand(newDebugBundle(a))
	return cmd
}

// standardOutput is the FILE that means standard output.
const standardOutput = "-"

// debugBundleCommand is `holdfast debug bundle`.
type debugBundleCommand struct {
	*app
	force bool
}

func newDebugBundle(a *app) *cobra.Command {
	c := &debugBundleCommand{app: a}
	cmd := &cobra.Command{
		Use:   "bundle [FILE]",
		Short: "Save diagnostic data of the daemon in one file",
		Long: `Save as one tar.gz: the stack of each goroutine, memory use, settings, status, metrics,
the routing table, the last lookups and the last lines of the log. It contains no private
key and no record, but it does contain peer IDs, addresses and the keys of lookups. FILE "-"
is standard output. An existing FILE is an error, unless --force replaces it once the new
file is complete.

The admin socket also serves profiles:
  curl --unix-socket SOCKET -o cpu.pb.gz 'http://holdfast/debug/pprof/profile?seconds=10'`,
		Example: `  holdfast debug bundle
  holdfast debug bundle - | ssh admin@example.org 'cat > bundle.tar.gz'`,
		Args: atMost("[FILE]"),
		RunE: c.run,
	}
	cmd.Flags().BoolVar(&c.force, "force", false, "replace FILE if it exists")
	return a.daemonFlags(cmd)
}

func (c *debugBundleCommand) run(cmd *cobra.Command, args []string) error {
	file := "holdfast-debug-" + time.Now().UTC().Format("20060102-150405") + ".tar.gz"
	if len(args) == 1 {
		file = args[0]
	}
	if file != standardOutput {
		if err := mayReplace(file, c.force); err != nil {
			return err
		}
	}
	return c.ask(cmd.Context(), func(ctx context.Context, b api.Backend) error { return c.save(ctx, b, file) })
}

func (c *debugBundleCommand) save(ctx context.Context, b api.Backend, file string) error {
	if file == standardOutput {
		return b.DebugBundle(ctx, c.out)
	}
	n, err := saveTo(file, func(w io.Writer) error { return b.DebugBundle(ctx, w) })
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"file": file, "bytes": n})
	}
	return c.printf("Saved %s to %s\n", bytesText(n), file)
}
