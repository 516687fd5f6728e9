package main

import (
	"github.com/spf13/cobra"
)

// What the shell offers for arguments with few values. Everything else is a key, a
// peer or a file, of which only files can be listed.
var (
	levels     = []string{"debug", "info", "warn", "error"}
	subsystems = []string{"daemon", "node", "rpc", "storage", "api", "web", "routing", "libp2p"}
	modes      = []string{"server", "client", "auto"}
)

// oneOf completes with fixed values.
func oneOf(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

// completeLevel completes `log level [SUBSYSTEM] LEVEL`.
func completeLevel(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return append(append([]string{}, levels...), subsystems...), cobra.ShellCompDirectiveNoFileComp
	case 1:
		return levels, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// complete sets how flags are completed, in all commands.
func complete(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		complete(cmd)
		if cmd.Flags().Lookup("mode") != nil {
			_ = cmd.RegisterFlagCompletionFunc("mode", oneOf(modes...)) // fails if set twice only
		}
	}
}
