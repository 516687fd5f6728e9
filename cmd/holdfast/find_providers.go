package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// findProvidersCommand is `holdfast find-providers`.
type findProvidersCommand struct {
	*app
	count int
}

func newFindProviders(a *app) *cobra.Command {
	c := &findProvidersCommand{app: a}
	cmd := &cobra.Command{
		Use:   "find-providers KEY",
		Short: "Find peers that have content",
		Long: `Find peers that have the content of a key. Prints each peer as soon as it is found, one
per line: peer ID, addresses. A peer is printed again, with the new addresses, when other
peers know more of its addresses.`,
		Example: `  holdfast find-providers --count 5 bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi`,
		Args:    exactly("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if c.count < 0 {
				return usagef("--count %d is negative", c.count)
			}
			return a.withKey(c.find)(cmd, args)
		},
	}
	cmd.Flags().IntVar(&c.count, "count", 0, "stop once this many are found (0: all)")
	return a.nodeFlags(cmd)
}

func (c *findProvidersCommand) find(ctx context.Context, b api.Backend, _ string, key []byte) error {
	return b.FindProviders(ctx, key, c.count, c.printPeer)
}
