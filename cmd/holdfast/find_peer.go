package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
)

// findPeerCommand is `holdfast find-peer`.
type findPeerCommand struct{ *app }

func newFindPeer(a *app) *cobra.Command {
	c := &findPeerCommand{app: a}
	return a.nodeFlags(&cobra.Command{
		Use:     "find-peer PEERID",
		Short:   "Find the addresses of a peer",
		Long:    `Find the addresses of a peer. Prints one per line.`,
		Example: `  holdfast find-peer 12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp`,
		Args:    exactly("PEERID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkPeerID(args[0]); err != nil {
				return err
			}
			return a.with(c.find)(cmd, args)
		},
	})
}

func (c *findPeerCommand) find(ctx context.Context, b api.Backend, args []string) error {
	p, err := b.FindPeer(ctx, args[0])
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(p)
	}
	for _, addr := range p.Addrs {
		if err := c.printf("%s\n", columns.Printable(addr)); err != nil {
			return err
		}
	}
	return nil
}

// checkPeerID returns a usage error if a peer ID of the command line is invalid.
func checkPeerID(text string) error {
	if _, err := api.ParsePeer(text); err != nil {
		return usageError{err}
	}
	return nil
}
