package main

import (
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/join"
)

// simJoinCommand is `holdfast sim join`.
type simJoinCommand struct {
	*app
	all  bool
	seed uint64
}

func newSimJoin(a *app) *cobra.Command {
	c := &simJoinCommand{app: a}
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Show step by step how a node joins a network of four-bit IDs",
		Long: `Show step by step how Alice joins a network of four-bit IDs, whose routing tables also
contain nodes that have left. Bucket 0 is the nearest, k is 2 and alpha is 1.

With --all-alive, all sixteen nodes join, in an order that depends on --seed; then each
looks for each.`,
		Example: `  holdfast sim join
  holdfast sim join --all-alive --seed 7`,
		Args: exactly(),
		RunE: c.run,
	}
	cmd.Flags().BoolVar(&c.all, "all-alive", false, "all sixteen nodes join")
	cmd.Flags().Uint64Var(&c.seed, "seed", 1, "`number` that chooses the order")
	return cmd
}

func (c *simJoinCommand) run(cmd *cobra.Command, _ []string) error {
	if cmd.Flags().Changed("seed") && !c.all {
		return usagef("--seed needs --all-alive")
	}
	if c.all {
		r := join.AllAlive(c.seed)
		return printSimulated(c.app, &r)
	}
	r := join.Story()
	return printSimulated(c.app, &r)
}
