package main

import (
	"io"

	"github.com/spf13/cobra"
)

func newSim(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "sim",
		Short: "Simulate networks of the code that this node runs",
		Long: `Simulate networks: the routing table, the lookups, the republishing and the serving
side are those that this node runs; only the network between them is simulated.
The same seed gives the same run. Needs no daemon.`,
		Example: `  holdfast sim join
  holdfast sim run --nodes 10000 --churn mixture --hours 24`,
	})
	cmd.AddCommand(newSimJoin(a), newSimRun(a))
	return cmd
}

// simulated is what a simulation gives.
type simulated interface{ Print(io.Writer) error }

func printSimulated(a *app, r simulated) error {
	if a.json {
		return a.printJSON(r)
	}
	return r.Print(a.out)
}
