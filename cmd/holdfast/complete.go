package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/config"
)

// What the shell offers for arguments with few values. Everything else is a key, a
// peer or a file, of which only files can be listed.
var (
	levels = []string{"debug", "info", "warn", "error"}
	modes  = []string{"server", "client", "auto"}
)

// oneOf completes with fixed values.
func oneOf(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

// completeLevel completes `log level [SUBSYSTEM] LEVEL`.
func completeLevel(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return slices.Concat(levels, config.LogSubsystems), cobra.ShellCompDirectiveNoFileComp
	case 1:
		return levels, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completionCommands adds those that cobra makes, with examples as all have.
func completionCommands(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		group(cmd)
		cmd.Example = "  holdfast completion bash > /etc/bash_completion.d/holdfast"
		for _, shell := range cmd.Commands() {
			shell.Args = exactly()
			shell.Example = "  holdfast completion " + shell.Name()
		}
	}
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
