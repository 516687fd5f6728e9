package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
)

// peersCommand is `holdfast peers`.
type peersCommand struct {
	*app
	usage bool
}

func newPeers(a *app) *cobra.Command {
	c := &peersCommand{app: a}
	cmd := &cobra.Command{
		Use:   "peers",
		Short: "List connected peers and those of the routing table",
		Long: `List connected peers and those of the routing table. --usage lists instead what each
peer has cost this node since it started, most bytes first: its requests by type,
bytes and time; and how many provider records here name it. Its values are not
counted. The node tells 4096 peers apart; the rest are summed up in the last line.`,
		Example: `  holdfast peers
  holdfast peers --usage | head`,
		Args: exactly(),
		RunE: a.with(c.run),
	}
	cmd.Flags().BoolVar(&c.usage, "usage", false, "what each peer has cost this node")
	return a.nodeFlags(cmd)
}

func (c *peersCommand) run(ctx context.Context, b api.Backend, _ []string) error {
	if c.usage {
		return c.printUsage(ctx, b)
	}
	peers, err := b.Peers(ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, p := range peers {
		if c.json {
			if err := c.printJSON(p); err != nil {
				return err
			}
		}
		rows = append(rows, []string{p.PeerID, orDash(p.Direction), yesNo(p.InTable), orDash(p.Agent), strings.Join(p.Addrs, " ")})
	}
	if c.json {
		return nil
	}
	return c.table([]string{"PEER", "CONNECTION", "IN TABLE", "AGENT", "ADDRESSES"}, rows)
}
