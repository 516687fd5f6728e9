package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
file is moved aside and a new one filled with what can be read. Each step and how far
it is are shown on standard error.`,
		Example: `  holdfast check --data-dir /var/lib/holdfast`,
		Args:    exactly(),
		RunE:    offline(func([]string) error { return a.check(repair) }),
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "save what can be read of a damaged file")
	return cmd
}

// offline runs a command on the database of a stopped daemon. An interrupt ends it at
// once: the database survives that as it survives a kill.
func offline(run func(args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return untilInterrupted(cmd.Context(), func() error { return run(args) })
	}
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
	p := a.measured("opening the database", 0)
	report, err := daemon.CheckStore(dir, &loaded.Config, repair, p.step)
	p.end()
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
	return a.printf("%s is in order: %s, %s, %s\n", report.Path,
		counted(report.Providers, "provider record"), counted(report.Values, "value"), counted(report.Published, "published key"))
}

func (a *app) compactCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Rewrite the database of a stopped daemon without its free space",
		Long: `Rewrite the database of a stopped daemon without its free space, which the disk gets
back. It needs room for the new files beside the old ones until it is done. Each step
and how far it is are shown on standard error.`,
		Example: `  holdfast compact --data-dir /var/lib/holdfast`,
		Args:    exactly(),
		RunE: offline(func([]string) error {
			dir, err := a.directory()
			if err != nil {
				return err
			}
			p := a.measured("opening the database", 0)
			before, after, err := daemon.CompactStore(dir, p.step)
			p.end()
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]int64{"before_bytes": before, "after_bytes": after})
			}
			return a.printf("Compacted from %s to %s\n", bytesText(before), bytesText(after))
		}),
	}
}

func (a *app) backupCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database of a running daemon",
		Long: `Copy the database of a running daemon to a file, consistent while it goes on
writing. identity.key is not in it: keep a copy of that beside it. A FILE that is
there already stays, unless --force replaces it once the new one is whole.`,
		Example: `  holdfast backup /var/backups/holdfast.tar`,
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := mayReplace(args[0], force); err != nil {
				return err
			}
			return a.with(a.backup)(cmd, args)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE if it is there already")
	a.socketFlag(cmd.Flags())
	return cmd
}

func (a *app) backup(ctx context.Context, b api.Backend, args []string) error {
	p := a.measured("saved", 0)
	n, err := saveTo(args[0], func(w io.Writer) error { return b.Backup(ctx, io.MultiWriter(w, p)) })
	p.end()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"file": args[0], "bytes": n})
	}
	return a.printf("Saved %s to %s\n", bytesText(n), args[0])
}

// mayReplace refuses to write to a file that is there already, unless --force says so.
func mayReplace(file string, force bool) error {
	if _, err := os.Lstat(file); err == nil && !force {
		return fmt.Errorf("%s is there already; choose another file, or replace it with --force", file)
	}
	return nil
}

// saveTo writes a file beside its place first, so that an older one is replaced by
// a whole one only. Its errors name the file, not the temporary one.
func saveTo(path string, write func(io.Writer) error) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return 0, fmt.Errorf("save %s: %w", path, withoutPath(err))
	}
	defer os.Remove(f.Name()) // no longer there once renamed
	err = write(pathless{f})
	info, statErr := f.Stat()
	err = errors.Join(err, withoutPath(statErr), withoutPath(f.Sync()), withoutPath(f.Close()))
	if err == nil {
		err = withoutPath(os.Rename(f.Name(), path))
	}
	if err != nil {
		return 0, fmt.Errorf("save %s: %w", path, err)
	}
	return info.Size(), nil
}

// pathless writes to a writer whose errors name a file that nobody knows.
type pathless struct{ io.Writer }

func (p pathless) Write(data []byte) (int, error) {
	n, err := p.Writer.Write(data)
	return n, withoutPath(err)
}

// withoutPath is the reason of an error of package os alone.
func withoutPath(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the database of a stopped daemon",
		Long: `Put a backup, once checked, in the place of the database of a stopped daemon. The
old database is kept beside it. identity.key is not in a backup: put the old one into
the data directory too, or the node starts as another peer.`,
		Example: `  holdfast restore /var/backups/holdfast.tar`,
		Args:    exactly("FILE"),
		RunE: offline(func(args []string) error {
			dir, err := a.directory()
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
			p := a.measured("reading "+args[0], size)
			old, err := daemon.RestoreStore(dir, io.TeeReader(f, p), p.step)
			p.end()
			if err != nil {
				return err
			}
			return a.printRestored(args[0], old, dir)
		}),
	}
}

func (a *app) printRestored(file, old, dir string) error {
	known := daemon.HasIdentity(dir, a.getenv)
	if !known {
		fmt.Fprintf(a.errs, "holdfast: warning: %s has no %s: put back the one that belongs to this backup before the daemon starts, or it will be another peer that announces the same keys\n", dir, daemon.IdentityFile)
	}
	switch {
	case a.json:
		return a.printJSON(map[string]any{"restored": file, "old": old, "identity": known})
	case old == "":
		return a.printf("Restored %s\n", file)
	}
	return a.printf("Restored %s; the old database is %s\n", file, old)
}
