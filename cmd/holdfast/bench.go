package main

import "github.com/spf13/cobra"

func newBench(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "bench",
		Short: "Benchmark a node on this machine",
		Example: `  holdfast bench rpc
  holdfast bench store
  holdfast bench lookup`,
	})
	cmd.AddCommand(newBenchRPC(a), newBenchStore(a), newBenchLookup(a))
	return cmd
}
