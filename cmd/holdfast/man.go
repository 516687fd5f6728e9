package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/holdfast-dht/holdfast/pkg/daemon"
)

// manCommand is for those who package the program; it needs no node.
func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages, one for each command",
		Long:    `Write the manual pages, one for each command, into a directory, which is made if need be.`,
		Example: `  holdfast man /usr/local/share/man/man1`,
		Args:    exactly("DIR"),
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			date, err := a.buildDate()
			if err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // it has the day of the build
			header := &doc.GenManHeader{Section: "1", Date: &date, Source: "holdfast " + daemon.Version, Manual: "Holdfast"}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			return nil
		},
	}
}

// buildDate is the date in the manual pages: $SOURCE_DATE_EPOCH, for builds that can
// be repeated (reproducible-builds.org/specs/source-date-epoch), or today.
func (a *app) buildDate() (time.Time, error) {
	text := a.getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
