package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// newMan returns the command that writes the manual pages, for packagers. It needs no
// node.
func newMan(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages: one for each command, and holdfast.toml(5)",
		Long: `Write the manual pages, one for each command and holdfast.toml(5), into a directory,
which is created if needed. If the name of the directory is man1, holdfast.toml(5) goes into
the directory man5 beside it.`,
		Example: `  holdfast man /usr/local/share/man/man1`,
		Args:    exactly("DIR"),
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			date, err := buildDate(a.getenv)
			if err != nil {
				return err
			}
			if err := writeManuals(cmd.Root(), args[0], date); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			return nil
		},
	}
}

// writeManuals writes every page.
func writeManuals(root *cobra.Command, dir string, date time.Time) error {
	dir5 := dir
	if filepath.Base(dir) == "man1" {
		dir5 = filepath.Join(filepath.Dir(dir), "man5")
	}
	for _, d := range []string{dir, dir5} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	root.DisableAutoGenTag = true // it contains the day of the build
	if err := writeManual(root, dir, date); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir5, "holdfast.toml.5"), []byte(configManual(date)), 0o644)
}

// writeManual writes the page of a command and those of the commands below it.
func writeManual(cmd *cobra.Command, dir string, date time.Time) error {
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		if err := writeManual(c, dir, date); err != nil {
			return err
		}
	}
	var page bytes.Buffer
	header := &doc.GenManHeader{Section: "1", Date: &date, Source: manSource(), Manual: manName}
	if err := doc.GenMan(cmd, header, &page); err != nil {
		return err
	}
	text, seeAlso, _ := strings.Cut(manOption.ReplaceAllString(page.String(), ".TP\n$1$3\n$4"), ".SH SEE ALSO\n")
	text += manCommon + ".SH SEE ALSO\n" + strings.TrimSuffix(seeAlso, "\n") + ", \\fBholdfast.toml(5)\\fP\n"
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
}

// manOption matches an option as cobra writes it, with its default. Zero defaults are
// left out of the page.
var manOption = regexp.MustCompile(`(?m)(?:^\.PP\n)?^(\\fB-.*\\fP)(?:(=""|=0s|=0|=\[\]|\[=false\])|(.*))\n\t(.*)$`)

// manName is the manual that the pages belong to.
const manName = "Holdfast"

func manSource() string { return "holdfast " + daemon.BuildInfo().Version }

// manCommon are the sections that all commands share.
const manCommon = `.SH EXIT STATUS
.TP
\fB0\fP
done
.TP
\fB1\fP
failed
.TP
\fB2\fP
wrong usage: an unknown command, flag or argument, or an invalid value
.TP
\fB3\fP
not found
.TP
\fB4\fP
no daemon reached
.TP
\fB130\fP
interrupted
.PP
With \fB\-\-json\fP, an error is one JSON object on standard error: \fBerror\fP is the
message, \fBcode\fP the exit status, \fBreason\fP a word for programs.

.SH FILES
.TP
\fI/etc/holdfast/config.toml\fP, \fI~/.config/holdfast/config.toml\fP
the configuration, the first file that exists; see \fBholdfast.toml\fP(5)
.TP
\fI/var/lib/holdfast\fP, \fI~/.local/state/holdfast\fP
data directory, of a daemon that systemd runs and of one that a user runs
.TP
\fI/etc/holdfast/NAME.toml\fP, \fI/var/lib/holdfast\-NAME\fP, \fI/run/holdfast\-NAME\fP
configuration, data directory and directory of the admin socket of \fBholdfast@NAME\fP, one of
several nodes
.TP
\fIidentity.key\fP
in the data directory: the private key, which determines the peer ID
.TP
\fIholdfast.db\fP and other files named holdfast
in the data directory: the database
.TP
\fIholdfast.sock\fP
in the data directory or in \fI/run/holdfast\fP: the admin socket

.SH ENVIRONMENT
.TP
\fBHOLDFAST_CONFIG\fP
the configuration file, unless \fB\-\-config\fP names one
.TP
\fBHOLDFAST_SECTION__KEY\fP
a setting: \fBHOLDFAST_NETWORK__MODE\fP is mode of [network]; lists are comma separated
.TP
\fBXDG_CONFIG_HOME\fP, \fBXDG_STATE_HOME\fP, \fBHOME\fP
location of a user's configuration and data directory
.TP
\fBSTATE_DIRECTORY\fP, \fBRUNTIME_DIRECTORY\fP, \fBCREDENTIALS_DIRECTORY\fP
set by systemd: data directory, directory of the admin socket, directory with an identity.key
.TP
\fBNO_COLOR\fP
not empty: no colours; without a terminal there are none in any case
.TP
\fBCOLUMNS\fP
width of a terminal that does not report its own

`

// buildDate is the date in the manual pages: $SOURCE_DATE_EPOCH, for builds that can
// be repeated (reproducible-builds.org/specs/source-date-epoch), or today.
func buildDate(getenv func(string) string) (time.Time, error) {
	text := getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
