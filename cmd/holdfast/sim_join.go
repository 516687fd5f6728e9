package main

import (
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/sim/join"
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
		Short: "Follow by eye how a node joins a network of four-bit IDs",
		Long: `Follow by eye how Alice joins a network of four-bit IDs whose routing tables know
of more nodes than live. Bucket 0 is the nearest, k is 2 and alpha is 1.

With --all-alive all sixteen nodes live and join in an order that --seed chooses;
then each looks for each.`,
		Example: `  holdfast sim join
  holdfast sim join --all-alive --seed 7`,
		Args: exactly(),
		RunE: c.run,
	}
	cmd.Flags().BoolVar(&c.all, "all-alive", false, "all sixteen nodes live and join")
	cmd.Flags().Uint64Var(&c.seed, "seed", 1, "`number` that chooses the order")
	return cmd
}

func (c *simJoinCommand) run(cmd *cobra.Command, _ []string) error {
	if cmd.Flags().Changed("seed") && !c.all {
		return usagef("--seed goes with --all-alive")
	}
	if c.all {
		r := join.AllAlive(c.seed)
		return printSimulated(c.app, &r)
	}
	r := join.Story()
	return printSimulated(c.app, &r)
}
