package main

import (
	"context"
	"errors"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// unprovideCommand is `holdfast unprovide`.
type unprovideCommand struct {
	*app
	keys keyFlags

	removed int     // of the arguments
	unknown []error // of each argument that is not provided
}

func newUnprovide(a *app) *cobra.Command {
	c := &unprovideCommand{app: a}
	cmd := &cobra.Command{
		Use:   "unprovide KEY... | unprovide --file FILE",
		Short: "Stop announcing content",
		Long: `Stop announcing content. Records at other peers live until they expire. Keys that are not
provided are counted and skipped. A file has the format of "holdfast provide".`,
		Example: `  holdfast unprovide bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi
  holdfast unprovide --file keys.txt`,

		ValidArgsFunction: a.completePublished("provider"),
		RunE:              c.run,
	}
	c.keys.add(cmd.Flags())
	return a.daemonFlags(cmd)
}

func (c *unprovideCommand) run(cmd *cobra.Command, args []string) error {
	err := c.keys.run(cmd.Context(), c.app, args, (*bulk).unprovide, c.unprovide)
	switch {
	case err != nil || len(c.unknown) == 0:
		return err
	case len(args) == 1:
		return c.unknown[0]
	case c.removed == 0:
		return api.Errorf(api.CodeNotFound, "none of %s is provided: %v", counted(len(args), "key"), c.unknown[0])
	case c.json:
		return c.printUnprovided(c.removed, len(c.unknown))
	}
	return c.printf("%d more %s not provided\n", len(c.unknown), english.PluralWord(len(c.unknown), "was", "were"))
}

// unprovide unprovides one argument. One that is not provided does not end the command,
// because the others must not depend on it.
func (c *unprovideCommand) unprovide(ctx context.Context, b api.Backend, text string, key []byte) error {
	err := b.Unprovide(ctx, key)
	var e *api.Error
	switch {
	case errors.As(err, &e) && e.Code == api.CodeNotFound:
		c.unknown = append(c.unknown, asWritten(err, text))
		return nil
	case err != nil:
		return err
	}
	c.removed++
	return c.printKey("Unprovided", text)
}

// printUnprovided prints the JSON of several keys.
func (a *app) printUnprovided(removed, unknown int) error {
	return a.printJSON(map[string]int{"keys": removed, "not_provided": unknown})
}
