package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// restoreCommand is `holdfast restore`.
type restoreCommand struct{ *app }

func newRestore(a *app) *cobra.Command {
	c := &restoreCommand{app: a}
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Replace the database of a stopped daemon with a backup",
		Long: `Replace the database of a stopped daemon with a backup, after checking the backup. The
old database is kept beside it. A backup does not contain identity.key: also put the old one
into the data directory, otherwise the node starts as another peer.`,
		Example: `  holdfast restore /var/backups/holdfast.tar`,
		Args:    exactly("FILE"),
		RunE:    offline(c.run),
	}
}

func (c *restoreCommand) run(args []string) error {
	dir, err := c.directory()
	if err != nil {
		return err
	}
	f, err := os.Open(args[0])
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer f.Close()
	var size int64
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	p := c.measured("reading "+args[0], size)
	old, err := daemon.RestoreStore(dir, io.TeeReader(f, p), p.step)
	p.end()
	if err != nil {
		return err
	}
	return c.print(args[0], old, dir)
}

func (c *restoreCommand) print(file, old, dir string) error {
	known := daemon.HasIdentity(dir, c.getenv)
	if !known {
		fmt.Fprintf(c.errs, "holdfast: warning: %s has no %s: put back the one that belongs to this backup before the daemon starts, or it will be another peer that announces the same keys\n", dir, daemon.IdentityFile)
	}
	switch {
	case c.json:
		return c.printJSON(map[string]any{"restored": file, "old": old, "identity": known})
	case old == "":
		return c.printf("Restored %s\n", file)
	}
	return c.printf("Restored %s; the old database is %s\n", file, old)
}
