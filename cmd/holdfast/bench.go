package main

import "github.com/spf13/cobra"

func (a *app) benchCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "bench",
		Short: "Benchmark a node on this machine",
		Example: `  holdfast bench rpc
  holdfast bench store
  holdfast bench lookup`,
	})
	cmd.AddCommand(a.benchRPCCommand(), a.benchStoreCommand(), a.benchLookupCommand())
	return cmd
}
