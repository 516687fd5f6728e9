package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
	"github.com/holdfast-dht/holdfast/pkg/explain"
)

// defaultTraces is how many lookups explain list shows.
const defaultTraces = 20

func (a *app) explainCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "explain",
		Short: "Show a lookup hop by hop: who was asked, when, what came back, why it ended",
		Long: `Run a lookup and show its story: who was asked, when, what came back, and why it
ended. The daemon also keeps the stories of its last 1000 lookups, its own ones
included: "list" shows them, "show ID" tells one.

--html writes a page with a timeline, which needs nothing but a browser.`,
		Example: `  holdfast explain find-providers bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi
  holdfast explain get /ipns/k51... --html lookup.html
  holdfast explain list`,
	})
	cmd.AddCommand(
		a.explainLookup(api.LookupGet, "KEY", "Explain the lookup of a value", "/example/greeting"),
		a.explainLookup(api.LookupFindProviders, "KEY", "Explain the lookup of providers", "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"),
		a.explainLookup(api.LookupClosest, "KEY", "Explain the lookup of the closest peers", "my-key"),
		a.explainLookup(api.LookupFindPeer, "PEERID", "Explain the lookup of a peer", "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"),
		a.explainList(), a.explainShow(),
	)
	return cmd
}

func (a *app) explainLookup(lookup, arg, short, example string) *cobra.Command {
	var page string
	cmd := &cobra.Command{
		Use:               lookup + " " + arg,
		Short:             short,
		Example:           "  holdfast explain " + lookup + " " + example,
		Args:              exactly(arg),
		ValidArgsFunction: oneOf(),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := lookupKey(lookup, args[0])
			if err != nil {
				return err
			}
			return a.with(func(ctx context.Context, b api.Backend, _ []string) error {
				t, err := b.Explain(ctx, lookup, key)
				if err != nil {
					return err
				}
				if err := a.printTrace(&t, page); err != nil {
					return err
				}
				return foundNothing(&t, args[0])
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&page, "html", "", "write a page with a timeline to this `file`")
	if lookup == api.LookupGet {
		return a.valueNodeFlags(cmd)
	}
	return a.nodeFlags(cmd)
}

// foundNothing is the error of a lookup that did not find what it was for.
func foundNothing(t *api.Trace, key string) error {
	switch t.Outcome {
	case "not_found":
		return api.Errorf(api.CodeNotFound, "nothing found under key %s", key)
	case "failed":
		if t.Asked == 0 {
			return api.Errorf(api.CodeNoPeers, "no peer could be asked; `holdfast status` tells of the routing table")
		}
		return api.Errorf(api.CodeNoPeers, "none of %s answered", counted(t.Asked, "peer"))
	}
	return nil
}

// lookupKey reads the argument of a lookup.
func lookupKey(lookup, text string) ([]byte, error) {
	if lookup != api.LookupFindPeer {
		return parseKey(text)
	}
	id, err := api.ParsePeer(text)
	if err != nil {
		return nil, usageError{err}
	}
	return []byte(id), nil
}

// printTrace prints a trace, and writes its page if there is a file for it.
func (a *app) printTrace(t *api.Trace, page string) error {
	text := traceKey(t)
	if page != "" {
		var html bytes.Buffer
		if err := explain.HTML(&html, t, text); err != nil {
			return err
		}
		if err := os.WriteFile(page, html.Bytes(), 0o666); err != nil {
			return fmt.Errorf("write the page: %w", err)
		}
	}
	if a.json {
		return a.printJSON(t)
	}
	return explain.Text(a.out, t, text, a.width(), a.style().red)
}

// traceKey writes the key of a trace: some are peer IDs.
func traceKey(t *api.Trace) string {
	if t.Kind == "find_peer" || t.Kind == "refresh" {
		if id, err := peer.IDFromBytes(t.Key); err == nil {
			return id.String()
		}
	}
	return api.KeyText(t.Key)
}

func (a *app) explainList() *cobra.Command {
	var count int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the last lookups of the daemon, newest first",
		Example: `  holdfast explain list --count 100`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if count < 1 {
				return usagef("--count %d is less than 1", count)
			}
			return a.with(func(ctx context.Context, b api.Backend, _ []string) error { return a.listTraces(ctx, b, count) })(cmd, args)
		},
	}
	cmd.Flags().IntVar(&count, "count", defaultTraces, "how many, at most 1000")
	return a.daemonFlags(cmd)
}

func (a *app) listTraces(ctx context.Context, b api.Backend, count int) error {
	var rows [][]string
	err := b.Traces(ctx, count, func(t api.Trace) error {
		if a.json {
			return a.printJSON(t)
		}
		took := time.Duration(t.TookMs * float64(time.Millisecond))
		stored := "-"
		if t.StoreSent > 0 {
			stored = fmt.Sprintf("%d of %d", t.StoredAt, t.StoreSent)
		}
		rows = append(rows, []string{
			strconv.FormatUint(t.ID, 10), ago(t.Started), t.Kind, t.Outcome, t.End, span(took),
			fmt.Sprintf("%d/%d/%d", t.Asked, t.Responded, t.Failed), strconv.Itoa(t.Hops), stored, traceKey(&t),
		})
		return nil
	})
	if err != nil || a.json {
		return err
	}
	return a.table([]string{"ID", "STARTED", "KIND", "OUTCOME", "END", "TOOK", "ASKED/ANSWERED/FAILED", "HOPS", "STORED", "KEY"}, rows)
}

func (a *app) explainShow() *cobra.Command {
	var page string
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Tell one of the last lookups of the daemon",
		Example: `  holdfast explain show 4711 --html lookup.html`,
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return usagef("%q is not the number of a lookup; `holdfast explain list` shows them", args[0])
			}
			return a.with(func(ctx context.Context, b api.Backend, _ []string) error {
				var found *api.Trace
				err := b.Traces(ctx, api.MaxTraces, func(t api.Trace) error {
					if t.ID == id {
						found = &t
					}
					return nil
				})
				if err != nil {
					return err
				}
				if found == nil {
					return api.Errorf(api.CodeNotFound, "lookup %d is not among the last ones that the daemon keeps", id)
				}
				return a.printTrace(found, page)
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&page, "html", "", "write a page with a timeline to this `file`")
	return a.daemonFlags(cmd)
}
