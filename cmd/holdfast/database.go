package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
	"github.com/holdfast-dht/holdfast/pkg/daemon"
)

func (a *app) checkCommand() *cobra.Command {
	var repair bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the database of a stopped daemon",
		Long: `Check the database of a stopped daemon: its structure, and that what is stored
agrees with what is counted. Exit code 1 if it is damaged. With --repair a damaged
file is moved aside and a new one filled with what can be read.`,
		Example: `  holdfast check --data-dir /var/lib/holdfast`,
		Args:    exactly(),
		RunE:    func(*cobra.Command, []string) error { return a.check(repair) },
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "save what can be read of a damaged file")
	return cmd
}

// directory is the data directory that a command on a stopped daemon works on.
func (a *app) directory() (string, error) {
	loaded, err := a.load()
	if err != nil {
		return "", err
	}
	return daemon.FindDataDir(&loaded.Config, a.getenv)
}

func (a *app) check(repair bool) error {
	loaded, err := a.load()
	if err != nil {
		return err
	}
	dir, err := daemon.FindDataDir(&loaded.Config, a.getenv)
	if err != nil {
		return err
	}
	report, err := daemon.CheckStore(dir, &loaded.Config, repair)
	if err != nil && !errors.Is(err, daemon.ErrDamaged) {
		return err
	}
	if a.json {
		return errors.Join(a.printJSON(report), err)
	}
	for _, p := range report.Problems {
		fmt.Fprintln(a.out, clean(p))
	}
	switch {
	case report.MovedTo != "":
		return a.printf("Repaired %s; the damaged file is %s\n", report.Path, report.MovedTo)
	case err != nil:
		return err
	}
	return a.printf("%s is in order: %d provider records, %d values, %d published keys\n", report.Path, report.Providers, report.Values, report.Published)
}

func (a *app) compactCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "compact",
		Short:   "Rewrite the database of a stopped daemon without its free space",
		Example: `  holdfast compact --data-dir /var/lib/holdfast`,
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			dir, err := a.directory()
			if err != nil {
				return err
			}
			before, after, err := daemon.CompactStore(dir)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]int64{"before_bytes": before, "after_bytes": after})
			}
			return a.printf("Compacted from %s to %s\n", bytesText(before), bytesText(after))
		},
	}
}

func (a *app) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database of a running daemon",
		Long: `Copy the database of a running daemon to a file, consistent while it goes on
writing. identity.key is not in it: keep a copy of that beside it.`,
		Example: `  holdfast backup /var/backups/holdfast.tar`,
		Args:    exactly("FILE"),
		RunE: a.with(func(ctx context.Context, b api.Backend, args []string) error {
			n, err := saveTo(args[0], func(w io.Writer) error { return b.Backup(ctx, w) })
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"file": args[0], "bytes": n})
			}
			return a.printf("Saved %s to %s\n", bytesText(n), args[0])
		}),
	}
	a.socketFlag(cmd.Flags())
	return cmd
}

// saveTo writes a file beside its place first, so that an older one is replaced by
// a whole one only.
func saveTo(path string, write func(io.Writer) error) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return 0, fmt.Errorf("save %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // no longer there once renamed
	err = write(f)
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Sync(), f.Close()); err != nil {
		return 0, fmt.Errorf("save %s: %w", path, err)
	}
	return info.Size(), os.Rename(f.Name(), path)
}

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the database of a stopped daemon",
		Long: `Put a backup, once checked, in the place of the database of a stopped daemon. The
old database is kept beside it.`,
		Example: `  holdfast restore /var/backups/holdfast.tar`,
		Args:    exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := a.directory()
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("backup: %w", err)
			}
			defer f.Close()
			old, err := daemon.RestoreStore(dir, f)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"restored": args[0], "old": old})
			}
			if old == "" {
				return a.printf("Restored %s\n", args[0])
			}
			return a.printf("Restored %s; the old database is %s\n", args[0], old)
		},
	}
}
