package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/config"
)

func newLog(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "log",
		Short:   "Show and set the log levels of the daemon",
		Example: `  holdfast log level rpc debug`,
	})
	cmd.AddCommand(newLogLevel(a))
	return cmd
}

// logLevelCommand is `holdfast log level`.
type logLevelCommand struct{ *app }

func newLogLevel(a *app) *cobra.Command {
	c := &logLevelCommand{app: a}
	return a.daemonFlags(&cobra.Command{
		Use:   "level [[SUBSYSTEM] LEVEL]",
		Short: "Show or set log levels until the next restart",
		Long: `Show the log levels, or set the level of all subsystems including libp2p, or of one:
` + strings.Join(config.LogSubsystems, ", ") + `, libp2p/NAME.
Levels are debug, info, warn and error. A reload (SIGHUP) puts back those of the
configuration.`,
		Example: `  holdfast log level
  holdfast log level warn
  holdfast log level rpc debug`,
		Args:              atMost("[SUBSYSTEM]", "LEVEL"),
		ValidArgsFunction: completeLevel,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkLevel(args); err != nil {
				return usageError{err}
			}
			return a.with(c.run)(cmd, args)
		},
	})
}

// checkLevel returns a usage error if [SUBSYSTEM] LEVEL is invalid.
func checkLevel(args []string) error {
	if len(args) == 0 {
		return nil
	}
	if _, err := config.ParseLevel(args[len(args)-1]); err != nil {
		return err
	}
	if len(args) == 1 {
		return nil
	}
	return config.CheckSubsystem(args[0])
}

func (c *logLevelCommand) run(ctx context.Context, b api.Backend, args []string) error {
	if len(args) > 0 {
		subsystem := ""
		if len(args) == 2 {
			subsystem = args[0]
		}
		if err := b.SetLogLevel(ctx, subsystem, args[len(args)-1]); err != nil {
			return err
		}
	}
	levels, err := b.LogLevels(ctx)
	if err != nil {
		return err
	}
	if c.json {
		levels["default"] = levels[""]
		delete(levels, "")
		return c.printJSON(levels)
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(levels)) {
		shown := name
		if name == "" {
			shown = "(all others)"
		}
		rows = append(rows, []string{shown, levels[name]})
	}
	return c.table([]string{"SUBSYSTEM", "LEVEL"}, rows)
}
