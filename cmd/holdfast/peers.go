package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
	"github.com/holdfast-dht/holdfast/pkg/daemon"
)

// defaultPings is how many round trips ping measures.
const defaultPings = 3

func (a *app) findPeerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "find-peer PEERID",
		Short:   "Find the addresses of a peer",
		Long:    `Find the addresses of a peer. Prints one a line.`,
		Example: `  holdfast find-peer 12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp`,
		Args:    exactly("PEERID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkPeerID(args[0]); err != nil {
				return err
			}
			return a.with(func(ctx context.Context, b api.Backend, _ []string) error {
				p, err := b.FindPeer(ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(p)
				}
				for _, addr := range p.Addrs {
					if err := a.printf("%s\n", clean(addr)); err != nil {
						return err
					}
				}
				return nil
			})(cmd, args)
		},
	}
	return a.nodeFlags(cmd)
}

func checkPeerID(text string) error {
	if _, err := api.ParsePeer(text); err != nil {
		return usageError{err}
	}
	return nil
}

func (a *app) closestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "closest KEY",
		Short: "Find the peers closest to a key",
		Long: `Find the k peers closest to a key, the closest first. Prints one a line: peer ID,
addresses. The key may be a peer ID: then they are the neighbours of the peer.`,
		Example: `  holdfast closest my-key
  holdfast closest 12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp`,
		Args: exactly("KEY"),
		RunE: a.withKey(func(ctx context.Context, b api.Backend, text string, key []byte) error {
			peers, err := b.Closest(ctx, key)
			if err != nil {
				return err
			}
			if len(peers) == 0 {
				return api.Errorf(api.CodeNotFound, "no peers found near key %s", text)
			}
			for _, p := range peers {
				if err := a.printPeer(p); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	return a.nodeFlags(cmd)
}

func (a *app) pingCommand() *cobra.Command {
	count := defaultPings
	cmd := &cobra.Command{
		Use:   "ping PEERID | ping ADDR",
		Short: "Measure round trips to a peer",
		Long:  `Measure round trips to a peer, by its ID or by a full multiaddr with /p2p/.`,
		Example: `  holdfast ping 12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp
  holdfast ping /ip4/127.0.0.1/tcp/4011/p2p/12D3KooW...`,
		Args: exactly("PEERID or ADDR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTarget(args[0], count); err != nil {
				return err
			}
			return a.with(func(ctx context.Context, b api.Backend, _ []string) error {
				return a.ping(ctx, b, args[0], count)
			})(cmd, args)
		},
	}
	cmd.Flags().IntVar(&count, "count", defaultPings, "round trips to measure")
	return a.nodeFlags(cmd)
}

func checkTarget(target string, count int) error {
	if count < 1 {
		return usagef("--count %d: at least 1", count)
	}
	if !strings.HasPrefix(target, "/") {
		return checkPeerID(target)
	}
	if _, err := daemon.ParseBootstrap([]string{target}); err != nil {
		return usageError{err}
	}
	return nil
}

func (a *app) ping(ctx context.Context, b api.Backend, target string, count int) error {
	for range count {
		pong, err := b.Ping(ctx, target)
		if err != nil {
			return fmt.Errorf("ping %s: %w", target, err)
		}
		if a.json {
			err = a.printJSON(pong)
		} else {
			err = a.printf("%s  %.3f ms\n", pong.PeerID, pong.RTTMs)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
