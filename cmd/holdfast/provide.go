package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
)

// provideCommand is `holdfast provide`.
type provideCommand struct {
	*app
	keys keyFlags
}

func newProvide(a *app) *cobra.Command {
	c := &provideCommand{app: a}
	cmd := &cobra.Command{
		Use:   "provide KEY... | provide --file FILE",
		Short: "Announce that this node has content",
		Long: `Announce that this node has the content of each key, now and every cycle until
"holdfast unprovide KEY".

A file holds one key a line; blank lines and lines that begin with # are left out,
"-" is standard input. If a line is not a key, nothing is provided, unless
--skip-invalid leaves such lines out.

The daemon first stores all keys of a file, then announces them by its schedule, while
the command shows how far it is. The daemon goes on when the command is interrupted.
Keys that are provided already keep their schedule, so the same file may be given
again.`,
		Example: `  holdfast provide bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi
  holdfast provide --file keys.txt`,
		RunE: c.run,
	}
	c.keys.add(cmd.Flags())
	return a.nodeFlags(cmd)
}

func (c *provideCommand) run(cmd *cobra.Command, args []string) error {
	return c.keys.run(cmd.Context(), c.app, args, (*bulk).provide, c.provide)
}

func (c *provideCommand) provide(ctx context.Context, b api.Backend, text string, key []byte) error {
	res, err := b.Provide(ctx, key)
	if err != nil {
		return err
	}
	if err := c.tookNobody("announcement", text, res); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(storedJSON{Key: text, Stored: res})
	}
	return c.printf("Provided key: %s (%s)\n", text, storedAt(&res))
}
