package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

func newRepublish(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "republish",
		Short:   "Show or trigger republishing",
		Example: `  holdfast republish status`,
	})
	cmd.AddCommand(newRepublishStatus(a), newRepublishNow(a))
	return cmd
}

// watchEvery is how often a command asks the daemon for its progress.
const watchEvery = time.Second

// busy reports whether the schedule has keys to publish now and peers to send them to.
func busy(s *api.RepublishStatus) bool {
	return s.VerifiedPeers > 0 && s.Active+s.OverdueKeys > 0
}

// laterStatus returns the status after watchEvery.
func laterStatus(ctx context.Context, b api.Backend) (api.RepublishStatus, error) {
	select {
	case <-time.After(watchEvery):
		return b.RepublishStatus(ctx)
	case <-ctx.Done():
		return api.RepublishStatus{}, ctx.Err()
	}
}
