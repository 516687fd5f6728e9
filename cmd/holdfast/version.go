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
		Use:   "version",
		Short: "Print the version",
		Long: `Print the version of the program, the revision of the source it was built from and the
date of that revision, the version of Go, and the platform.`,
		Example: `  holdfast version --json`,
		Args:    exactly(),
		RunE:    func(*cobra.Command, []string) error { return c.print(daemon.BuildInfo()) },
	}
}

func (c *versionCommand) print(b daemon.Build) error {
	if c.json {
		return c.printJSON(b)
	}
	text := "holdfast " + b.Version
	if b.Revision != "" {
		text += " revision " + b.Revision
	}
	if b.Dirty {
		text += " with changes"
	}
	if b.Date != "" {
		text += " from " + b.Date
	}
	return c.printf("%s (%s, %s)\n", text, b.Go, b.Platform)
}
