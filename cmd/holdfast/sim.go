package main

import (
	"io"

	"github.com/spf13/cobra"
)

func newSim(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "sim",
		Short: "Simulate networks with the code that this node runs",
		Long: `Simulate networks. The routing table, the lookups, the republishing and the serving side
are the ones that this node runs; only the network between the nodes is simulated. The same
seed gives the same run. Needs no daemon.`,
		Example: `  holdfast sim join
  holdfast sim run --nodes 10000 --churn mixture --hours 24`,
	})
	cmd.AddCommand(newSimJoin(a), newSimRun(a))
	return cmd
}

// simulated is the result of a simulation.
type simulated interface{ Print(io.Writer) error }

func printSimulated(a *app, r simulated) error {
	if a.json {
		return a.printJSON(r)
	}
	return r.Print(a.out)
}
