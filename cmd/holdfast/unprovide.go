package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// unprovideCommand is `holdfast unprovide`.
type unprovideCommand struct {
	*app
	keys keyFlags
}

func newUnprovide(a *app) *cobra.Command {
	c := &unprovideCommand{app: a}
	cmd := &cobra.Command{
		Use:   "unprovide KEY... | unprovide --file FILE",
		Short: "Stop announcing content",
		Long: `Stop announcing content. Records at other peers live until they expire. A file has the
format of "holdfast provide".`,
		Example: `  holdfast unprovide bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi
  holdfast unprovide --file keys.txt`,

		ValidArgsFunction: a.completePublished("provider"),
		RunE:              c.run,
	}
	c.keys.add(cmd.Flags())
	return a.daemonFlags(cmd)
}

func (c *unprovideCommand) run(cmd *cobra.Command, args []string) error {
	return c.keys.run(cmd.Context(), c.app, args, (*bulk).unprovide, c.unprovide)
}

func (c *unprovideCommand) unprovide(ctx context.Context, b api.Backend, text string, key []byte) error {
	if err := b.Unprovide(ctx, key); err != nil {
		return err
	}
	return c.printKey("Unprovided", text)
}
