package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/config"
)

// The completions of arguments with few values. All other arguments are keys, peers or
// files, of which the shell can list only files.
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

// completionCommands adds cobra's completion commands, with examples like all others.
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

// Bounds of completions from the daemon, because the shell waits for them.
const (
	completionTimeout = time.Second
	maxCompletions    = 1000
)

// errEnough ends a list.
var errEnough = errors.New("enough")

// completePublished completes with the keys of a kind that the daemon publishes.
func (a *app) completePublished(kind string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 || a.alone() {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		a.cmd = cmd
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		b, done, err := a.backend(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer done()
		return publishedKeys(ctx, b, kind, begun), cobra.ShellCompDirectiveNoFileComp
	}
}

// publishedKeys returns the first keys of a kind with the given prefix, including those
// received before an error.
func publishedKeys(ctx context.Context, b api.Backend, kind, begun string) (keys []string) {
	_ = b.Provides(ctx, func(p api.Published) error {
		if text := api.KeyText(p.Key); p.Kind == kind && strings.HasPrefix(text, begun) {
			keys = append(keys, text)
		}
		if len(keys) == maxCompletions {
			return errEnough
		}
		return nil
	})
	return keys
}

// complete sets the completion of flags in all commands.
func complete(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		complete(cmd)
		if cmd.Flags().Lookup("mode") != nil {
			_ = cmd.RegisterFlagCompletionFunc("mode", oneOf(modes...)) // fails only if set twice
		}
	}
}
