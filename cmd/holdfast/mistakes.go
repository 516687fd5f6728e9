package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// usageError is a mistake in the arguments.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exactly is cobra.ExactArgs with a message that names the missing argument.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usagef("%s is missing", names[len(args)])
		}
		return atMost(names...)(cmd, args)
	}
}

// atMost is cobra.MaximumNArgs with a message that names the unexpected argument.
func atMost(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= len(names) {
			return nil
		}
		takes := "no arguments"
		if len(names) > 0 {
			takes = strings.Join(names, " ")
		}
		return usagef("unexpected argument %q: `%s` takes %s", args[len(names)], cmd.CommandPath(), takes)
	}
}

// group makes a command that only groups others. Without a subcommand, or with an unknown
// one, it returns a usage error.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args, cmd.Run, cmd.RunE = cobra.ArbitraryArgs, nil, needSubcommand
	return cmd
}

func needSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return usagef("`%s` needs one of: %s", cmd.CommandPath(), strings.Join(names, ", "))
}

// typingErrors is how many typing errors a word may have for a command to be suggested.
const typingErrors = 2

func unknownCommand(cmd *cobra.Command, word string) error {
	cmd.SuggestionsMinimumDistance = typingErrors
	meant := ""
	if names := cmd.SuggestionsFor(word); len(names) > 0 {
		slices.Sort(names)
		meant = "; did you mean " + strings.Join(names, " or ") + "?"
	}
	return usagef("unknown command %q for `%s`%s", word, cmd.CommandPath(), meant)
}

// helpCommand makes cobra's help command fail on an unknown command.
func helpCommand(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		return // just added, so it exists
	}
	show := help.Run
	help.Example = "  holdfast help explain get"
	help.RunE = func(cmd *cobra.Command, args []string) error {
		topic, rest, err := root.Find(args)
		if err != nil || len(rest) > 0 {
			return unknownCommand(topic, rest[0])
		}
		show(cmd, args)
		return nil
	}
}

// badFlag returns a readable error for the value of a flag. pflag's own error has the
// text of the parser: `strconv.ParseInt: parsing "x": invalid syntax`.
func badFlag(_ *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return usageError{err}
	}
	is := "is " + notA[bad.GetFlag().Value.Type()]
	switch {
	case errors.Is(err, strconv.ErrRange):
		is = "is out of range"
	case bad.GetFlag().Value.Type() == "duration" && config.IsTooLong(bad.GetValue()):
		is = "is too long: the longest duration is " + config.LongestDuration
	}
	return usagef("--%s %q %s", bad.GetFlag().Name, bad.GetValue(), is)
}

// notA is the end of the error text for a bad value, by the type of the flag.
var notA = map[string]string{
	"bool":        "neither true nor false",
	"int":         "not a whole number",
	"int64":       "not a whole number",
	"uint64":      "not a whole number of 0 or more",
	"duration":    `not a duration; write for instance "30s", "10m" or "22h"`,
	"intSlice":    `not a list of whole numbers; write for instance "100,1000"`,
	"stringSlice": `not a list; write for instance "a,b"`,
}

// failure is an error as --json prints it.
type failure struct {
	Error  string `json:"error"`
	Code   int    `json:"code"`   // of exit
	Reason string `json:"reason"` // "usage", "interrupted", "failed", or a code of the admin API: "not_found"
}

// printError prints an error to stderr.
func (a *app) printError(cmd *cobra.Command, err error, code int) {
	text := message(err)
	if a.json {
		_ = json.NewEncoder(a.errs).Encode(failure{Error: text, Code: code, Reason: reason(err, code)}) // it fails only if the reader is gone
		return
	}
	if code == exitInterrupted && isTerminal(a.errs) {
		fmt.Fprint(a.errs, "\r", ansi.EraseLineRight) // overwrites ^C and the line of progress
	}
	fmt.Fprintf(a.errs, "holdfast: %s\n", text)
	if code == exitUsage {
		fmt.Fprintf(a.errs, "See `%s --help`.\n", cmd.CommandPath())
	}
}

// wantsJSON looks for --json in a command line that could not be parsed.
func wantsJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json")
}
