package main

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// checkCommand is `holdfast check`.
type checkCommand struct {
	*app
	repair bool
}

func newCheck(a *app) *cobra.Command {
	c := &checkCommand{app: a}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the database of a stopped daemon",
		Long: `Check the database of a stopped daemon: its structure, and that the records agree with
the counters. The exit code is 1 if it is damaged. With --repair, a damaged file is moved
aside and a new one is filled with all readable records. The other files stay. Standard error shows each step and
its progress.`,
		Example: `  holdfast check --data-dir /var/lib/holdfast`,
		Args:    exactly(),
		RunE:    offline(c.run),
	}
	cmd.Flags().BoolVar(&c.repair, "repair", false, "save what can be read of a damaged file")
	return cmd
}

func (c *checkCommand) run([]string) error {
	loaded, err := c.load()
	if err != nil {
		return err
	}
	dir, err := c.finder(loaded).DataDir()
	if err != nil {
		return err
	}
	p := c.measured("opening the database", 0)
	report, err := daemon.CheckStore(dir, &loaded.Config, c.repair, p.step)
	p.end()
	if err != nil && !errors.Is(err, daemon.ErrDamaged) {
		return err
	}
	if c.json {
		return errors.Join(c.printJSON(report), err)
	}
	for _, p := range report.Problems {
		fmt.Fprintln(c.out, columns.Printable(p))
	}
	switch {
	case report.MovedTo != "":
		return c.repaired(&report)
	case err != nil:
		return err
	}
	return c.printf("%s is in order: %s\n", report.Path, contents(&report))
}

func (c *checkCommand) repaired(r *daemon.StoreReport) error {
	old := "the damaged file is " + r.MovedTo
	if len(r.Moved) > 1 {
		old = "the old files are " + english.OxfordWordSeries(r.Moved, "and")
	}
	read := "Everything in it could be read."
	if r.Incomplete {
		read = "Not everything in it could be read: records may be lost."
	}
	return c.printf("Repaired %s; %s\n%s The database now has %s\n", r.DamagedText(), old, read, contents(r))
}

// contents returns the numbers of records in a database.
func contents(r *daemon.StoreReport) string {
	return fmt.Sprintf("%s, %s, %s", counted(r.Providers, "provider record"), counted(r.Values, "value"), counted(r.Published, "published key"))
}
