package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// republishNowCommand is `holdfast republish now`.
type republishNowCommand struct {
	*app
	wait bool
}

func newRepublishNow(a *app) *cobra.Command {
	c := &republishNowCommand{app: a}
	cmd := &cobra.Command{
		Use:   "now",
		Short: "Republish every key now",
		Long: `Republish every key now. The daemon republishes a few keys at a time; with --wait, the
command shows the progress and ends when every key has been tried.`,
		Example: `  holdfast republish now
  holdfast republish now --wait`,
		Args: exactly(),
		RunE: a.with(c.run),
	}
	cmd.Flags().BoolVar(&c.wait, "wait", false, "wait until every key has been tried")
	return a.daemonFlags(cmd)
}

func (c *republishNowCommand) run(ctx context.Context, b api.Backend, _ []string) error {
	before, err := b.RepublishStatus(ctx)
	if err != nil {
		return err
	}
	if err := b.RepublishNow(ctx); err != nil {
		return err
	}
	if c.wait {
		return c.untilTried(ctx, b, &before)
	}
	if c.json {
		return c.printJSON(struct {
			Started bool `json:"started"`
			Keys    int  `json:"keys"`
		}{true, before.Keys})
	}
	return c.printf("Republishing started: %s\n", counted(before.Keys, "key"))
}

// untilTried waits until the schedule has nothing left to do, and prints the results
// since before.
func (c *republishNowCommand) untilTried(ctx context.Context, b api.Backend, before *api.RepublishStatus) error {
	s, err := c.watch(ctx, b, before)
	if err != nil {
		c.note("the daemon continues to republish, see `holdfast republish status`")
		return err
	}
	if restarted(before, &s) {
		return errors.New("the daemon was restarted meanwhile; `holdfast republish status` shows how many keys are overdue")
	}
	succeeded, failed := s.Succeeded-before.Succeeded, s.Failed-before.Failed
	if s.VerifiedPeers == 0 && s.Keys > 0 {
		return api.Errorf(api.CodeNoPeers, "%s not republished because no peer answers; the daemon does it when one does", areKeys(s.Active+s.OverdueKeys))
	}
	if c.json {
		return c.printJSON(struct {
			Keys      int    `json:"keys"`
			Succeeded uint64 `json:"succeeded"`
			Failed    uint64 `json:"failed"`
		}{s.Keys, succeeded, failed})
	}
	text := fmt.Sprintf("Republished %s", counted(int(succeeded), "key"))
	if failed > 0 {
		text += fmt.Sprintf("; %d failed and are tried again, see `holdfast republish status`", failed)
	}
	return c.printf("%s\n", text)
}

func (c *republishNowCommand) watch(ctx context.Context, b api.Backend, before *api.RepublishStatus) (s api.RepublishStatus, err error) {
	if s, err = b.RepublishStatus(ctx); err != nil {
		return s, err
	}
	p := c.counted("republished", s.Keys)
	defer p.end()
	for busy(&s) && !restarted(before, &s) {
		if s, err = laterStatus(ctx, b); err != nil {
			return s, err
		}
		done := s.Succeeded - before.Succeeded + s.Failed - before.Failed
		p.at(int64(min(done, uint64(s.Keys))))
	}
	return s, nil
}

// restarted reports whether the daemon's counters have started from zero since before.
func restarted(before, now *api.RepublishStatus) bool {
	return now.Succeeded < before.Succeeded || now.Failed < before.Failed
}
