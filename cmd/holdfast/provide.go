package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
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
		Long: `Announce that this node has the content of each key, now and at every republish interval
until "holdfast unprovide KEY".

A file has one key per line. Blank lines and lines that begin with # are ignored; "-" is
standard input. If a line is not a key, nothing is provided, unless --skip-invalid ignores
such lines.

With --bootstrap, the node of this command announces itself and ends: the peers then name a
provider that cannot be reached. Use a running daemon to be found.

The daemon first stores all keys of a file, then announces them by its schedule, while
the command shows the progress. The daemon continues when the command is interrupted. Keys
that are already provided keep their schedule, so the same file may be given again.`,
		Example: `  holdfast provide bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi
  holdfast provide --file keys.txt`,
		RunE: c.run,
	}
	c.keys.add(cmd.Flags())
	return a.nodeFlags(cmd)
}

func (c *provideCommand) run(cmd *cobra.Command, args []string) error {
	err := c.keys.run(cmd.Context(), c.app, args, (*bulk).provide, c.provide)
	if err == nil && c.alone() {
		c.note("the node of this command has ended, so the peers name a provider that cannot be reached until the record expires; provide through a running daemon (without --bootstrap) to be found")
	}
	return err
}

func (c *provideCommand) provide(ctx context.Context, b api.Backend, text string, key []byte) error {
	res, err := b.Provide(ctx, key)
	if err != nil {
		return err
	}
	if err := c.notStored("announcement", text, res); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(storedJSON{Key: text, Stored: res})
	}
	return c.printf("Provided key: %s (%s)\n", text, storedAt(&res))
}
