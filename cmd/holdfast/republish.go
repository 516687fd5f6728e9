package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
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

// watchEvery is how often a command asks how far the daemon has come.
const watchEvery = time.Second

// busy reports whether the schedule has something to do now and somebody to tell.
func busy(s *api.RepublishStatus) bool {
	return s.VerifiedPeers > 0 && s.Active+s.OverdueKeys > 0
}

// laterStatus asks again after a while.
func laterStatus(ctx context.Context, b api.Backend) (api.RepublishStatus, error) {
	select {
	case <-time.After(watchEvery):
		return b.RepublishStatus(ctx)
	case <-ctx.Done():
		return api.RepublishStatus{}, ctx.Err()
	}
}
