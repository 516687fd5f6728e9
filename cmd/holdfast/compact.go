package main

import (
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// compactCommand is `holdfast compact`.
type compactCommand struct{ *app }

func newCompact(a *app) *cobra.Command {
	c := &compactCommand{app: a}
	return &cobra.Command{
		Use:   "compact",
		Short: "Rewrite the database of a stopped daemon without its free space",
		Long: `Rewrite the database of a stopped daemon without its free space, and return that space
to the disk. Until it is done, it needs disk space for the new files beside the old ones.
Standard error shows each step and its progress.`,
		Example: `  holdfast compact --data-dir /var/lib/holdfast`,
		Args:    exactly(),
		RunE:    offline(c.run),
	}
}

func (c *compactCommand) run([]string) error {
	dir, err := c.directory()
	if err != nil {
		return err
	}
	p := c.measured("opening the database", 0)
	before, after, err := daemon.CompactStore(dir, p.step)
	p.end()
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"data_dir": dir, "before_bytes": before, "after_bytes": after})
	}
	if after >= before {
		return c.printf("Compacted the database in %s; there was no free space to return: %s before, %s now\n", dir, bytesText(before), bytesText(after))
	}
	return c.printf("Compacted the database in %s from %s to %s\n", dir, bytesText(before), bytesText(after))
}
