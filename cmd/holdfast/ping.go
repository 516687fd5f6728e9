package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// defaultPings is how many round trips ping measures.
const defaultPings = 3

// pingCommand is `holdfast ping`.
type pingCommand struct {
	*app
	count int
}

func newPing(a *app) *cobra.Command {
	c := &pingCommand{app: a}
	cmd := &cobra.Command{
		Use:   "ping PEERID | ping ADDR",
		Short: "Measure round trips to a peer",
		Long:  `Measure round trips to a peer, by its ID or by a full multiaddr with /p2p/.`,
		Example: `  holdfast ping 12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp
  holdfast ping /ip4/127.0.0.1/tcp/4011/p2p/12D3KooW...`,
		Args: exactly("PEERID or ADDR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.check(args[0]); err != nil {
				return err
			}
			return a.with(c.ping)(cmd, args)
		},
	}
	cmd.Flags().IntVar(&c.count, "count", defaultPings, "round trips to measure")
	return a.nodeFlags(cmd)
}

func (c *pingCommand) check(target string) error {
	if err := checkCount(c.count); err != nil {
		return err
	}
	if !strings.HasPrefix(target, "/") {
		return checkPeerID(target)
	}
	if _, err := daemon.ParseBootstrap([]string{target}); err != nil {
		return usageError{err}
	}
	return nil
}

func (c *pingCommand) ping(ctx context.Context, b api.Backend, args []string) error {
	for range c.count {
		pong, err := b.Ping(ctx, args[0])
		if err != nil {
			return fmt.Errorf("ping %s: %w", args[0], err)
		}
		if c.json {
			err = c.printJSON(pong)
		} else {
			err = c.printf("%s  %.3f ms\n", columns.Printable(pong.PeerID), pong.RTTMs)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
