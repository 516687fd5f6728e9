package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
)

func (a *app) debugCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "debug",
		Short:   "Look into a daemon in trouble",
		Example: `  holdfast debug bundle`,
	})
	var force bool
	bundle := &cobra.Command{
		Use:   "bundle [FILE]",
		Short: "Save what is needed to understand the daemon in one file",
		Long: `Save as one tar.gz: what each goroutine does, the memory in use, settings, status,
metrics, the routing table, the last lookups and the last lines of the log. There is
no private key in it and no record, but there are peer IDs, addresses and keys that
were looked up. FILE "-" is standard output. A FILE that is there already stays,
unless --force replaces it once the new one is whole.

The admin socket also serves profiles:
  curl --unix-socket SOCKET -o cpu.pb.gz 'http://holdfast/debug/pprof/profile?seconds=10'`,
		Example: `  holdfast debug bundle
  holdfast debug bundle - | ssh admin@example.org 'cat > bundle.tar.gz'`,
		Args: atMost("[FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := "holdfast-debug-" + time.Now().UTC().Format("20060102-150405") + ".tar.gz"
			if len(args) == 1 {
				file = args[0]
			}
			if err := mayReplace(file, force); err != nil {
				return err
			}
			return a.with(func(ctx context.Context, b api.Backend, _ []string) error {
				return a.saveBundle(ctx, b, file)
			})(cmd, args)
		},
	}
	bundle.Flags().BoolVar(&force, "force", false, "replace FILE if it is there already")
	cmd.AddCommand(a.daemonFlags(bundle))
	return cmd
}

func (a *app) saveBundle(ctx context.Context, b api.Backend, file string) error {
	if file == "-" {
		return b.DebugBundle(ctx, a.out)
	}
	n, err := saveTo(file, func(w io.Writer) error { return b.DebugBundle(ctx, w) })
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"file": file, "bytes": n})
	}
	return a.printf("Saved %s to %s\n", bytesText(n), file)
}
