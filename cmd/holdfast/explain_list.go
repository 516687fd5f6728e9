package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/internal/explain"
)

// defaultTraces is how many lookups explain list shows.
const defaultTraces = 20

// explainListCommand is `holdfast explain list`.
type explainListCommand struct {
	*app
	count int
}

func newExplainList(a *app) *cobra.Command {
	c := &explainListCommand{app: a}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the last lookups of the daemon, newest first",
		Example: `  holdfast explain list --count 100`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkCount(c.count); err != nil {
				return err
			}
			return c.ask(cmd.Context(), c.list)
		},
	}
	cmd.Flags().IntVar(&c.count, "count", defaultTraces, "how many lookups, at most 1000")
	return a.daemonFlags(cmd)
}

func (c *explainListCommand) list(ctx context.Context, b api.Backend) error {
	var rows [][]string
	ends := map[string]bool{}
	err := b.Traces(ctx, c.count, func(t api.Trace) error {
		if c.json {
			return c.printJSON(t)
		}
		ends[t.End] = true
		stored := "-"
		if t.StoreSent > 0 {
			stored = fmt.Sprintf("%d of %d", t.StoredAt, t.StoreSent)
		}
		rows = append(rows, []string{
			strconv.FormatUint(t.ID, 10), ago(t.Started), explain.Action(t.Kind), explain.Outcome(&t), t.End, explain.Span(t.TookMs),
			fmt.Sprintf("%d/%d/%d", t.Asked, t.Responded, t.Failed), strconv.Itoa(t.Hops), stored, t.KeyText(),
		})
		return nil
	})
	if err != nil || c.json {
		return err
	}
	if err := c.table([]string{"ID", "STARTED", "KIND", "OUTCOME", "END", "TOOK", "ASKED/ANSWERED/FAILED", "HOPS", "STORED", "KEY"}, rows); err != nil {
		return err
	}
	if legend := explain.EndLegend(ends); legend != "" {
		_, err = fmt.Fprintln(c.out, columns.Paragraph("END: "+legend+".", c.width()))
	}
	return err
}
