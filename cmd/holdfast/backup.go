package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// backupCommand is `holdfast backup`.
type backupCommand struct {
	*app
	force bool
}

func newBackup(a *app) *cobra.Command {
	c := &backupCommand{app: a}
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database of a running daemon",
		Long: `Copy the database of a running daemon to a file. The copy is consistent while the daemon
continues to write. It does not contain identity.key: keep a copy of that file with it. An
existing FILE is an error, unless --force replaces it once the new copy is complete.`,
		Example: `  holdfast backup /var/backups/holdfast.tar`,
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := mayReplace(args[0], c.force); err != nil {
				return err
			}
			return a.with(c.run)(cmd, args)
		},
	}
	cmd.Flags().BoolVar(&c.force, "force", false, "replace FILE if it exists")
	a.socketFlag(cmd.Flags())
	return cmd
}

func (c *backupCommand) run(ctx context.Context, b api.Backend, args []string) error {
	p := c.measured("saved", 0)
	n, err := saveTo(args[0], func(w io.Writer) error { return b.Backup(ctx, io.MultiWriter(w, p)) })
	p.end()
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"file": args[0], "bytes": n})
	}
	return c.printf("Saved %s to %s\n", bytesText(n), args[0])
}
