package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
	"github.com/holdfast-dht/holdfast/pkg/config"
	"github.com/holdfast-dht/holdfast/pkg/daemon"
)

func (a *app) republishCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "republish",
		Short:   "Show or trigger republishing",
		Example: `  holdfast republish status`,
	})
	status := &cobra.Command{
		Use:     "status",
		Short:   "Show when keys are republished, and which could not be",
		Example: `  holdfast republish status --json`,
		Args:    exactly(),
		RunE: a.with(func(ctx context.Context, b api.Backend, _ []string) error {
			s, err := b.RepublishStatus(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(s)
			}
			return a.printRepublish(&s)
		}),
	}
	cmd.AddCommand(a.daemonFlags(status), a.daemonFlags(a.republishNowCommand()))
	return cmd
}

func (a *app) printRepublish(s *api.RepublishStatus) error {
	next := "-"
	if s.Keys > 0 {
		next = until(s.NextDue)
	}
	err := a.fields(
		"Keys", fmt.Sprint(s.Keys), "Overdue", alarmIf(s.OverdueKeys > 0, fmt.Sprint(s.OverdueKeys)),
		"Running", fmt.Sprint(s.Active), "Cycle", span(time.Duration(s.CycleSeconds*float64(time.Second))),
		"Next due", next, "Last success", ago(s.LastSuccess), "Fewest holders", fewestHolders(s), "Unannounced", fmt.Sprint(s.Unannounced),
	)
	if err != nil {
		return err
	}
	var failed, ended [][]string
	for _, e := range s.LastErrors {
		failed = append(failed, []string{ago(e.At), e.Kind, e.Key, e.Problem})
	}
	for _, e := range s.Ended {
		ended = append(ended, []string{ago(e.At), e.Kind, e.Key, e.Reason})
	}
	if err := a.titled("Not published when last tried", []string{"TRIED", "KIND", "KEY", "PROBLEM"}, failed); err != nil {
		return err
	}
	title := fmt.Sprintf("Not published any more, %d since the start", s.EndedTotal)
	return a.titled(title, []string{"ENDED", "KIND", "KEY", "REASON"}, ended)
}

// titled prints a table under its title, nothing if it has no rows.
func (a *app) titled(title string, head []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	if err := a.printf("\n%s:\n", title); err != nil {
		return err
	}
	return a.table(head, rows)
}

// fewestHolders says how many peers hold each key at worst.
func fewestHolders(s *api.RepublishStatus) string {
	h := s.Holders
	switch {
	case s.Keys == 0:
		return "-"
	case h.Keys == 0:
		return "not known: no key was published since the start"
	}
	text := fmt.Sprintf("%d (%d of %d keys)", h.Fewest, h.FewestKeys, h.Keys)
	if rest := s.Keys - h.Keys; rest > 0 {
		text += fmt.Sprintf(", %d not published since the start", rest)
	}
	return text
}

func (a *app) logCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "log",
		Short:   "Look after the logs of the daemon",
		Example: `  holdfast log level rpc debug`,
	})
	level := &cobra.Command{
		Use:   "level [[SUBSYSTEM] LEVEL]",
		Short: "Show or set log levels until the next restart",
		Long: `Show the log levels, set that of all subsystems, libp2p too, or that of one:
` + strings.Join(config.LogSubsystems, ", ") + `, libp2p/NAME.
Levels are debug, info, warn and error. A reload (SIGHUP) puts back those of the
configuration.`,
		Example: `  holdfast log level
  holdfast log level warn
  holdfast log level rpc debug`,
		Args:              atMost("[SUBSYSTEM]", "LEVEL"),
		ValidArgsFunction: completeLevel,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				if _, err := config.ParseLevel(args[len(args)-1]); err != nil {
					return usageError{err}
				}
			}
			if len(args) == 2 {
				if err := config.CheckSubsystem(args[0]); err != nil {
					return usageError{err}
				}
			}
			return a.with(a.logLevel)(cmd, args)
		},
	}
	cmd.AddCommand(a.daemonFlags(level))
	return cmd
}

func (a *app) logLevel(ctx context.Context, b api.Backend, args []string) error {
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
	if a.json {
		levels["default"] = levels[""]
		delete(levels, "")
		return a.printJSON(levels)
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(levels)) {
		shown := name
		if name == "" {
			shown = "(all others)"
		}
		rows = append(rows, []string{shown, levels[name]})
	}
	return a.table([]string{"SUBSYSTEM", "LEVEL"}, rows)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: `  holdfast version --json`,
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			b := daemon.BuildInfo()
			if a.json {
				return a.printJSON(b)
			}
			revision := ""
			if b.Revision != "" {
				revision = " revision " + b.Revision
			}
			if b.Dirty {
				revision += " with changes"
			}
			return a.printf("holdfast %s%s (%s, %s)\n", b.Version, revision, b.Go, b.Platform)
		},
	}
}
