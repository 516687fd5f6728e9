package main

import (
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// versionCommand is `holdfast version`.
type versionCommand struct{ *app }

func newVersion(a *app) *cobra.Command {
	c := &versionCommand{app: a}
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: `  holdfast version --json`,
		Args:    exactly(),
		RunE:    func(*cobra.Command, []string) error { return c.print(daemon.BuildInfo()) },
	}
}

func (c *versionCommand) print(b daemon.Build) error {
	if c.json {
		return c.printJSON(b)
	}
	revision := ""
	if b.Revision != "" {
		revision = " revision " + b.Revision
	}
	if b.Dirty {
		revision += " with changes"
	}
	return c.printf("holdfast %s%s (%s, %s)\n", b.Version, revision, b.Go, b.Platform)
}
