package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
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
		Short: "List connected peers and the peers of the routing table",
		Long: `List the connected peers and the peers of the routing table. --usage lists instead the
cost of each peer since the node started, most bytes first: its requests by type, bytes and
time, and how many provider records it has here. Its values are not counted. The node counts
4096 peers separately; the last line has the sum of all others.`,
		Example: `  holdfast peers
  holdfast peers --usage | head`,
		Args: exactly(),
		RunE: a.with(c.run),
	}
	cmd.Flags().BoolVar(&c.usage, "usage", false, "show the cost of each peer")
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
	if c.json {
		return printLines(c.app, peers)
	}
	var rows [][]string
	for _, p := range peers {
		rows = append(rows, []string{p.PeerID, orDash(p.Direction), yesNo(p.InTable), orDash(p.Agent), strings.Join(p.Addrs, " ")})
	}
	return c.table([]string{"PEER", "CONNECTION", "IN TABLE", "AGENT", "ADDRESSES"}, rows)
}
