package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
	"github.com/holdfast-dht/holdfast/pkg/daemon"
)

func (a *app) idCommand() *cobra.Command {
	var generate bool
	var seed int64
	cmd := &cobra.Command{
		Use:   "id",
		Short: "Show who the node is, or make a new identity",
		Long: `Show the peer ID, public key, addresses, agent and protocol of the node.

With --generate make a new identity. It is saved in the directory named by
--data-dir, which must have none or the same; without --data-dir it is only shown.
With --seed it is made from a number, the same each time: for tests, since anybody
can make it.`,
		Example: `  holdfast id
  holdfast id --generate --data-dir /var/lib/holdfast`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, args []string) error {
			seeded := cmd.Flags().Changed("seed")
			if seeded && !generate {
				return usagef("--seed goes with --generate")
			}
			if generate {
				return a.generate(seeded, seed)
			}
			return a.with(a.showID)(cmd, args)
		},
	}
	cmd.Flags().BoolVar(&generate, "generate", false, "make a new identity")
	cmd.Flags().Int64Var(&seed, "seed", 0, "make it from this `number`: not secret")
	return a.daemonFlags(cmd)
}

func (a *app) showID(ctx context.Context, b api.Backend, _ []string) error {
	id, err := b.Identity(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(id)
	}
	addrs := strings.Join(id.Addrs, "\n  ")
	return a.printf("Peer ID: %s\nPublic key: %s\nAgent: %s\nProtocol: %s\nAddresses:\n  %s\n", id.PeerID, id.PublicKey, id.Agent, id.Protocol, addrs)
}

func (a *app) generate(seeded bool, seed int64) error {
	key, err := newKey(seeded, seed)
	if err != nil {
		return err
	}
	if seeded {
		fmt.Fprintf(a.errs, "holdfast: warning: an identity made from --seed %d is not secret: anybody can make the same one; use it for tests only\n", seed)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return fmt.Errorf("new identity: %w", err)
	}
	if a.dataDir != "" {
		if err := os.MkdirAll(a.dataDir, 0o700); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
		if err := daemon.SaveIdentity(a.dataDir, key); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(a.errs, "holdfast: not saved; --data-dir DIR saves it as DIR/"+daemon.IdentityFile)
	}
	public, err := crypto.MarshalPublicKey(key.GetPublic())
	if err != nil {
		return fmt.Errorf("new identity: %w", err)
	}
	text := base64.StdEncoding.EncodeToString(public)
	if a.json {
		return a.printJSON(api.Identity{PeerID: id.String(), PublicKey: text, Addrs: []string{}, Agent: daemon.Agent()})
	}
	return a.printf("Peer ID: %s\nPublic key: %s\n", id, text)
}

func newKey(seeded bool, seed int64) (crypto.PrivKey, error) {
	if seeded {
		return daemon.SeededIdentity(seed)
	}
	return daemon.NewIdentity()
}
