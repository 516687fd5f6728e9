package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/rpcbench"
)

// benchLookupCommand is `holdfast bench lookup`.
type benchLookupCommand struct {
	*app
	cfg rpcbench.LookupConfig
}

func newBenchLookup(a *app) *cobra.Command {
	c := &benchLookupCommand{app: a}
	cmd := &cobra.Command{
		Use:   "lookup",
		Short: "Measure how long lookups in a network take, compared with their round trips",
		Long: `Measure how long lookups of random keys take: in the network of the daemon or, with
--bootstrap, in the network of the given peers, with a temporary node. The limit is shown
beside it: the round trips that lead to the closest peers, one after another, each as long
as the median request. Nothing is stored.`,
		Example: `  holdfast bench lookup
  holdfast bench lookup --count 1000 --parallel 16
  holdfast bench lookup --bootstrap /ip4/192.0.2.1/tcp/4011/p2p/12D3KooW... --protocol-prefix /mynet`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.cfg.Validate(); err != nil {
				return usageError{err}
			}
			return a.with(c.run)(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.cfg.Lookup, "op", api.LookupClosest, strings.Join([]string{api.LookupClosest, api.LookupFindProviders}, " or "))
	f.IntVar(&c.cfg.Count, "count", 200, "number of lookups")
	f.IntVar(&c.cfg.Parallel, "parallel", 1, "lookups at once")
	return a.nodeFlags(cmd)
}

func (c *benchLookupCommand) run(ctx context.Context, b api.Backend, _ []string) error {
	p := c.counted("looked up", c.cfg.Count)
	r, err := rpcbench.Lookups(ctx, b, c.cfg, func(done int) { p.at(int64(done)) })
	p.end()
	if err != nil {
		return err
	}
	return c.print(&r)
}

func (c *benchLookupCommand) print(r *rpcbench.LookupResult) error {
	if c.json {
		return c.printJSON(r)
	}
	ms := func(v float64) string { return fmt.Sprintf("%.1f ms", v) }
	return c.table(
		[]string{"LOOKUP", "COUNT", "FAILED", "AT ONCE", "RATE", "P50", "P95", "P99", "RTT", "LIMIT", "SHARE", "HOPS", "ASKED", "SILENT"},
		[][]string{{
			r.Lookup, fmt.Sprint(r.Lookups), fmt.Sprint(r.Failed), fmt.Sprint(r.Parallel), fmt.Sprintf("%.1f/s", r.PerSecond),
			ms(r.P50), ms(r.P95), ms(r.P99), ms(r.RTT), ms(r.Limit), fmt.Sprintf("%.2f", r.Share),
			fmt.Sprintf("%.1f", r.Hops), fmt.Sprintf("%.1f", r.Asked), fmt.Sprintf("%.1f", r.Silent),
		}})
}
