package main

import (
	"github.com/spf13/cobra"
)

// offline runs a command on the database of a stopped daemon. An interrupt ends the
// process at once. The database survives that, as it survives a kill.
func offline(run func(args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return untilInterrupted(cmd.Context(), func() error { return run(args) })
	}
}

// directory returns the data directory for a command on a stopped daemon.
func (a *app) directory() (string, error) {
	loaded, err := a.load()
	if err != nil {
		return "", err
	}
	return a.finder(loaded).DataDir()
}
