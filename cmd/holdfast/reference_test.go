package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/promisetest"
)

const referenceFile = "../../docs/reference/cli.md"

// docs/reference/cli.md describes every command with its flags, defaults, examples and JSON
// fields, as the program has them.
func TestReference(t *testing.T) {
	want := reference(t)
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(referenceFile, []byte(want), 0o644))
	}
	promisetest.Page(t, referenceFile, want)
}

// reference returns the page.
func reference(t *testing.T) string {
	var b strings.Builder
	root := (&app{}).root()
	b.WriteString("# Command line\n\nEvery command of `holdfast`, with its flags, examples and the fields of its JSON.\n\n")
	b.WriteString("<!-- UPDATE=1 go test ./cmd/holdfast -run TestReference writes this page from the program. -->\n\n")
	commands := shown(root)
	for _, g := range root.Groups() {
		fmt.Fprintf(&b, "%s\n\n", strings.TrimSuffix(g.Title, ":"))
		for _, cmd := range commands {
			if groupOf(cmd) == g.ID {
				fmt.Fprintf(&b, "- %s: %s\n", linkTo(cmd.CommandPath()), inText(cmd.Short))
			}
		}
		b.WriteString("\n")
	}
	b.WriteString(conventions)
	b.WriteString("## Flags of every command\n\n" + flagTable(root.PersistentFlags()))
	for _, cmd := range commands {
		section(&b, cmd)
	}
	b.WriteString("## JSON fields\n\nTimes are RFC 3339; a time that is absent never happened. Binary keys and values are base64. Later versions may add fields.\n\n")
	for _, of := range answerTypes() {
		typeSection(t, &b, of)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// conventions are the rules that all commands share.
var conventions = "## Conventions\n\n" +
	"Results go to standard output; logs, progress and errors go to standard error. Commands that need a node ask the running daemon over its admin socket, which `--api` or `--data-dir` finds. " +
	"With `--bootstrap ADDR...` they start a short-lived node in client mode instead.\n\n" +
	"A key is a CID, `/ipfs/CID/...`, `ipfs://CID`, a peer ID, `/ipns/NAME`, `/namespace/...`, `hex:...`, `b58:...`, `text:...`, base58 of exactly 32 bytes, or plain text.\n\n" +
	"## Exit codes\n\n| code | meaning |\n|---|---|\n" +
	exitRow(exitDone, "done") +
	exitRow(exitFailed, "failed") +
	exitRow(exitUsage, "wrong usage: an unknown command, flag or argument, or an invalid value") +
	exitRow(exitNotFound, "not found: no such record, provider or peer") +
	exitRow(exitNoDaemon, "no daemon reached") +
	exitRow(exitInterrupted, "interrupted") +
	"\nWith `--json` an error is one object on standard error: `error` is the message, `code` the exit code, and `reason` one word: `usage`, `interrupted`, `failed`, or an error of the daemon: `" +
	strings.Join(daemonReasons, "`, `") + "`.\n\n"

// daemonReasons are the words for errors of the daemon.
var daemonReasons = []string{
	string(api.CodeInvalid), string(api.CodeNotFound), string(api.CodeNoPeers), string(api.CodeTooLarge),
	string(api.CodeBusy), string(api.CodeTimeout), string(api.CodeUnsupported), string(api.CodeNoDaemon), string(api.CodeInternal),
}

func exitRow(code int, meaning string) string { return fmt.Sprintf("| %d | %s |\n", code, meaning) }

// shown returns the commands that the help lists, each followed by those below it.
func shown(cmd *cobra.Command) (all []*cobra.Command) {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			all = append(append(all, c), shown(c)...)
		}
	}
	return all
}

// groupOf returns the group of a command in the help.
func groupOf(cmd *cobra.Command) string {
	for cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	return cmd.GroupID
}

// section writes what the help of a command has.
func section(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "## %s\n\n", cmd.CommandPath())
	text := cmp.Or(cmd.Long, cmd.Short+".")
	if strings.HasPrefix(cmd.CommandPath(), "holdfast completion ") {
		text = cmd.Short + "." // cobra's text shows how to load it in each shell
	}
	fmt.Fprintf(b, "%s\n\n```text\n%s\n```\n\n", inText(text), cmd.UseLine())
	if table := flagTable(cmd.LocalNonPersistentFlags()); table != "" {
		b.WriteString(table)
	}
	fmt.Fprintf(b, "```text\n")
	for line := range strings.Lines(cmd.Example) {
		b.WriteString(strings.TrimPrefix(line, "  "))
	}
	b.WriteString("\n```\n\n")
	if a, ok := answers[cmd.CommandPath()]; ok {
		b.WriteString(a.text() + "\n\n")
	}
}

// flagTable returns the flags that the help lists, or "" if there are none. Defaults that
// are zero are not shown.
func flagTable(flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		text := "--" + f.Name
		if f.Shorthand != "" {
			text = "-" + f.Shorthand + ", " + text
		}
		byDefault := ""
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" && f.DefValue != "0s" {
			byDefault = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.TrimSuffix(text+" "+name, " "), inText(usage), byDefault)
	})
	if b.Len() == 0 {
		return ""
	}
	return "| flag | meaning | default |\n|---|---|---|\n" + b.String() + "\n"
}

// inText escapes what Markdown and HTML would interpret in plain text.
func inText(text string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "|", `\|`, "*", `\*`, "_", `\_`).Replace(text)
}

// linkTo returns a link to a heading of the page.
func linkTo(heading string) string {
	anchor := strings.ReplaceAll(strings.ToLower(heading), " ", "-")
	return fmt.Sprintf("[%s](#%s)", heading, anchor)
}
