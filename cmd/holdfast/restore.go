package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// restoreCommand is `holdfast restore`.
type restoreCommand struct {
	*app
	force bool
}

func newRestore(a *app) *cobra.Command {
	c := &restoreCommand{app: a}
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Replace the database of a stopped daemon with a backup",
		Long: `Replace the database of a stopped daemon with a backup, after checking the backup. The
old database is kept beside it. A backup does not contain identity.key: put the old one into
the data directory first, otherwise the node starts as another peer.

A backup of another network than that of the old database is an error, and of a peer that is
neither that of identity.key nor that of the old database; --force restores it anyway.`,
		Example: `  holdfast restore /var/backups/holdfast.tar`,
		Args:    exactly("FILE"),
		RunE:    offline(c.run),
	}
	cmd.Flags().BoolVar(&c.force, "force", false, "also restore the backup of another node or network")
	return cmd
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
	restored, err := daemon.RestoreStore(dir, io.TeeReader(f, p), c.getenv, c.force, p.step)
	p.end()
	switch {
	case errors.Is(err, daemon.ErrBackup):
		return fmt.Errorf("%s: %w", args[0], err)
	case err != nil:
		return err
	}
	return c.print(args[0], restored, dir)
}

func (c *restoreCommand) print(file string, r daemon.Restored, dir string) error {
	known := daemon.HasIdentity(dir, c.getenv)
	if !known {
		fmt.Fprintf(c.errs, "holdfast: warning: %s has no %s: put back the one that belongs to this backup before the daemon starts, or it will be another peer that announces the same keys\n", dir, daemon.IdentityFile)
	}
	if r.PeerID == "" {
		fmt.Fprintf(c.errs, "holdfast: the backup (of network %s) does not say which peer made it; make sure that it is of this node\n", cmp.Or(r.Network, "unknown"))
	}
	switch {
	case c.json:
		first := append(r.Old, "")[0]
		return c.printJSON(map[string]any{"restored": file, "data_dir": dir, "old": first, "old_files": r.Old, "identity": known})
	case len(r.Old) == 0:
		return c.printf("Restored %s into %s\n", file, dir)
	}
	return c.printf("Restored %s into %s; the old files are %s\n", file, dir, english.OxfordWordSeries(r.Old, "and"))
}
