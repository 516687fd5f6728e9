package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// republishStatusCommand is `holdfast republish status`.
type republishStatusCommand struct{ *app }

func newRepublishStatus(a *app) *cobra.Command {
	c := &republishStatusCommand{app: a}
	return a.daemonFlags(&cobra.Command{
		Use:     "status",
		Short:   "Show when keys are republished, and which failed",
		Example: `  holdfast republish status --json`,
		Args:    exactly(),
		RunE:    a.with(c.run),
	})
}

func (c *republishStatusCommand) run(ctx context.Context, b api.Backend, _ []string) error {
	s, err := b.RepublishStatus(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(s)
	}
	return c.print(&s)
}

func (c *republishStatusCommand) print(s *api.RepublishStatus) error {
	next := "-"
	if s.Keys > 0 {
		next = until(s.NextDue)
	}
	err := c.fields([]field{
		{"Keys", fmt.Sprint(s.Keys), false},
		{"Overdue", fmt.Sprint(s.OverdueKeys), s.OverdueKeys > 0},
		{"Running", fmt.Sprint(s.Active), false},
		{"Interval", span(time.Duration(s.CycleSeconds * float64(time.Second))), false},
		{"Next due", next, false},
		{"Last success", ago(s.LastSuccess), false},
		{"Fewest holders", fewestHolders(s), false},
		{"Unannounced", unannouncedText(s), s.UnannouncedFailed > 0},
	})
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
	if err := c.titled("Not published when last tried", []string{"TRIED", "KIND", "KEY", "PROBLEM"}, failed); err != nil {
		return err
	}
	title := fmt.Sprintf("No longer published, %d since the start", s.EndedTotal)
	return c.titled(title, []string{"ENDED", "KIND", "KEY", "REASON"}, ended)
}

func unannouncedText(s *api.RepublishStatus) string {
	text := fmt.Sprint(s.Unannounced)
	if s.UnannouncedFailed > 0 {
		text += fmt.Sprintf(", %d of them tried: too few peers took them", s.UnannouncedFailed)
	}
	return text
}

// titled prints a table with a title. It prints nothing if there are no rows.
func (c *republishStatusCommand) titled(title string, head []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	if err := c.printf("\n%s:\n", title); err != nil {
		return err
	}
	return c.table(head, rows)
}

// fewestHolders returns the smallest number of peers that hold a key.
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
