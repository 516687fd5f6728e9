package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

func newUnpublish(a *app) *cobra.Command {
	return a.daemonFlags(&cobra.Command{
		Use:     "unpublish KEY",
		Short:   "Stop republishing a value",
		Long:    `Stop republishing a value. Copies at other peers live until they expire.`,
		Example: `  holdfast unpublish /example/greeting`,
		Args:    exactly("KEY"),

		ValidArgsFunction: a.completePublished("value"),
		RunE: a.withKey(func(ctx context.Context, b api.Backend, text string, key []byte) error {
			if err := b.Unpublish(ctx, key); err != nil {
				return err
			}
			return a.printKey("Unpublished", text)
		}),
	})
}
