package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// providesCommand is `holdfast provides`.
type providesCommand struct{ *app }

func newProvides(a *app) *cobra.Command {
	c := &providesCommand{app: a}
	return a.daemonFlags(&cobra.Command{
		Use:   "provides",
		Short: "List what this node publishes",
		Long: `List the keys that this node republishes: provided content, and values it has put.
Content is identified by its multihash: it is listed as a CID of that multihash, whichever
CID was provided.`,
		Example: `  holdfast provides --json`,
		Args:    exactly(),
		RunE:    a.with(c.run),
	})
}

func (c *providesCommand) run(ctx context.Context, b api.Backend, _ []string) error {
	var rows [][]string
	err := b.Provides(ctx, func(p api.Published) error {
		text := api.KeyText(p.Key)
		if c.json {
			return c.printJSON(struct {
				Text string `json:"key"`
				api.Published
			}{text, p})
		}
		rows = append(rows, []string{p.Kind, text, ago(p.Last), until(p.Due)})
		return nil
	})
	if err != nil || c.json || len(rows) == 0 {
		return err
	}
	return c.table([]string{"KIND", "KEY", "LAST", "NEXT"}, rows)
}
