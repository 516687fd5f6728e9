package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// closestCommand is `holdfast closest`.
type closestCommand struct{ *app }

func newClosest(a *app) *cobra.Command {
	c := &closestCommand{app: a}
	return a.nodeFlags(&cobra.Command{
		Use:   "closest KEY",
		Short: "Find the peers closest to a key",
		Long: `Find the k peers closest to a key, closest first. Prints one per line: peer ID,
addresses. If the key is a peer ID, these are the neighbours of the peer.`,
		Example: `  holdfast closest my-key
  holdfast closest 12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp`,
		Args: exactly("KEY"),
		RunE: a.withKey(c.find),
	})
}

func (c *closestCommand) find(ctx context.Context, b api.Backend, text string, key []byte) error {
	peers, err := b.Closest(ctx, key)
	if err != nil {
		return err
	}
	if len(peers) == 0 {
		return api.Errorf(api.CodeNotFound, "no peers found near key %s", text)
	}
	for _, p := range peers {
		if err := c.printPeer(p); err != nil {
			return err
		}
	}
	return nil
}
