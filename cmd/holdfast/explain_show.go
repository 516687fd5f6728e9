package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// explainShowCommand is `holdfast explain show`.
type explainShowCommand struct {
	*app
	page tracePage
}

func newExplainShow(a *app) *cobra.Command {
	c := &explainShowCommand{app: a}
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one of the last lookups of the daemon",
		Example: `  holdfast explain show 4711 --html lookup.html`,
		Args:    exactly("ID"),
		RunE:    c.run,
	}
	c.page.add(cmd.Flags())
	return a.daemonFlags(cmd)
}

func (c *explainShowCommand) run(cmd *cobra.Command, args []string) error {
	id, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return usagef("%q is not the number of a lookup; `holdfast explain list` shows them", args[0])
	}
	return c.page.ask(cmd.Context(), c.app, func(ctx context.Context, b api.Backend) error { return c.show(ctx, b, id) })
}

func (c *explainShowCommand) show(ctx context.Context, b api.Backend, id uint64) error {
	var found *api.Trace
	err := b.Traces(ctx, api.MaxTraces, func(t api.Trace) error {
		if t.ID == id {
			found = &t
		}
		return nil
	})
	if err != nil {
		return err
	}
	if found == nil {
		return api.Errorf(api.CodeNotFound, "lookup %d is not among the last ones that the daemon keeps", id)
	}
	return c.page.print(c.app, found, found.KeyText())
}
