package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// idCommand is `holdfast id`.
type idCommand struct {
	*app
	generate bool
	seed     int64
	identity string // --identity
}

func newID(a *app) *cobra.Command {
	c := &idCommand{app: a}
	cmd := &cobra.Command{
		Use:   "id",
		Short: "Show the identity of the node or of a file, or generate a new one",
		Long: `Show the peer ID, public key, addresses, agent and protocol of the node.

With --generate, generate a new identity. It is saved in the directory that --data-dir
names, which must have no identity or the same one; without --data-dir it is only shown.
--seed derives it from a number, always the same one: only for tests, because anyone can
derive it.

With --identity, show the peer ID of a private key, such as that of a backup. This needs no
daemon.`,
		Example: `  holdfast id
  holdfast id --identity /var/backups/holdfast/identity.key
  holdfast id --generate --data-dir /var/lib/holdfast`,
		Args: exactly(),
		RunE: c.run,
	}
	cmd.Flags().BoolVar(&c.generate, "generate", false, "generate a new identity")
	cmd.Flags().Int64Var(&c.seed, "seed", 0, "derive it from this `number`: not secret")
	cmd.Flags().StringVar(&c.identity, "identity", "", "show the peer ID of the private key in this `file`")
	return a.daemonFlags(cmd)
}

func (c *idCommand) run(cmd *cobra.Command, args []string) error {
	seeded := cmd.Flags().Changed("seed")
	if seeded && !c.generate {
		return usagef("--seed needs --generate")
	}
	switch {
	case c.generate && c.identity != "":
		return usagef("--generate and --identity exclude each other")
	case c.generate:
		return c.make(seeded)
	case c.identity != "":
		return c.read()
	}
	return c.with(c.show)(cmd, args)
}

func (c *idCommand) show(ctx context.Context, b api.Backend, _ []string) error {
	id, err := b.Identity(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(id)
	}
	text := fmt.Sprintf("Peer ID: %s\nPublic key: %s\nAgent: %s\nProtocol: %s\nAddresses:\n", columns.Printable(id.PeerID), columns.Printable(id.PublicKey), columns.Printable(id.Agent), columns.Printable(id.Protocol))
	for _, addr := range id.Addrs {
		text += "  " + columns.Printable(addr) + "\n"
	}
	return c.printf("%s", text)
}

func (c *idCommand) make(seeded bool) error {
	key, err := c.newKey(seeded)
	if err != nil {
		return err
	}
	if seeded {
		fmt.Fprintf(c.errs, "holdfast: warning: an identity derived from --seed %d is not secret: anyone can derive it; use it only for tests\n", c.seed)
	}
	if c.dataDir != "" {
		if err := os.MkdirAll(c.dataDir, 0o700); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
		if err := daemon.SaveIdentity(c.dataDir, key); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(c.errs, "holdfast: not saved; --data-dir DIR saves it as DIR/"+daemon.IdentityFile)
	}
	return c.print(key)
}

// read shows the identity in a file.
func (c *idCommand) read() error {
	key, err := daemon.ReadIdentity(c.identity)
	if err != nil {
		return err
	}
	return c.print(key)
}

// print shows what is known of an identity without its daemon.
func (c *idCommand) print(key crypto.PrivKey) error {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	public, err := crypto.MarshalPublicKey(key.GetPublic())
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	text := base64.StdEncoding.EncodeToString(public)
	if c.json {
		return c.printJSON(api.Identity{PeerID: id.String(), PublicKey: text, Addrs: []string{}, Agent: daemon.Agent()})
	}
	return c.printf("Peer ID: %s\nPublic key: %s\n", id, text)
}

func (c *idCommand) newKey(seeded bool) (crypto.PrivKey, error) {
	if seeded {
		return daemon.SeededIdentity(c.seed)
	}
	return daemon.NewIdentity()
}
