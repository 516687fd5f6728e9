package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/explain"
)

func newExplain(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "explain",
		Short: "Show a lookup hop by hop: which peers were asked, when, what they answered, why it ended",
		Long: `Run a lookup and show its trace: which peers were asked, when, what they answered, and
why it ended. The daemon also keeps the traces of its last 1000 lookups, including its own:
"list" lists them, "show ID" shows one.

--html writes a self-contained page with a timeline.`,
		Example: `  holdfast explain find-providers bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi
  holdfast explain get /ipns/k51... --html lookup.html
  holdfast explain list`,
	})
	cmd.AddCommand(
		newExplainLookup(a, api.LookupGet, "KEY", "Explain the lookup of a value", "/example/greeting"),
		newExplainLookup(a, api.LookupFindProviders, "KEY", "Explain the lookup of providers", "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"),
		newExplainLookup(a, api.LookupClosest, "KEY", "Explain the lookup of the closest peers", "my-key"),
		newExplainLookup(a, api.LookupFindPeer, "PEERID", "Explain the lookup of a peer", "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"),
		newExplainList(a), newExplainShow(a),
	)
	return cmd
}

// explainLookupCommand is `holdfast explain` of one kind of lookup.
type explainLookupCommand struct {
	*app
	lookup string // kind of lookup of the admin API
	page   tracePage
}

func newExplainLookup(a *app, lookup, arg, short, example string) *cobra.Command {
	c := &explainLookupCommand{app: a, lookup: lookup}
	cmd := &cobra.Command{
		Use:               lookup + " " + arg,
		Short:             short,
		Example:           "  holdfast explain " + lookup + " " + example,
		Args:              exactly(arg),
		ValidArgsFunction: oneOf(),
		RunE:              c.run,
	}
	c.page.add(cmd.Flags())
	if lookup == api.LookupGet {
		return a.valueNodeFlags(cmd)
	}
	return a.nodeFlags(cmd)
}

func (c *explainLookupCommand) run(cmd *cobra.Command, args []string) error {
	key, err := lookupKey(c.lookup, args[0])
	if err != nil {
		return err
	}
	return c.page.ask(cmd.Context(), c.app, func(ctx context.Context, b api.Backend) error {
		t, err := b.Explain(ctx, c.lookup, key)
		if err != nil {
			return asWritten(err, args[0])
		}
		if err := c.page.print(c.app, &t, args[0]); err != nil {
			return err
		}
		return foundNothing(&t, args[0])
	})
}

// foundNothing returns the error of a lookup that found nothing.
func foundNothing(t *api.Trace, key string) error {
	switch t.Outcome {
	case "not_found":
		return api.Errorf(api.CodeNotFound, "nothing found under key %s", key)
	case "failed":
		if t.Asked == 0 {
			return api.Errorf(api.CodeNoPeers, "no peer could be asked; `holdfast status` shows the state of the routing table")
		}
		return api.Errorf(api.CodeNoPeers, "none of %s answered", counted(t.Asked, "peer"))
	}
	return nil
}

// lookupKey parses the argument of a lookup.
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

// tracePage is the HTML page of a trace, which commands write with --html.
type tracePage struct {
	file string
	out  *outFile // nil: none
}

func (p *tracePage) add(f *pflag.FlagSet) {
	f.StringVar(&p.file, "html", "", "write a page with a timeline to this `file`")
}

// ask is app.ask with the file of the page open.
func (p *tracePage) ask(ctx context.Context, a *app, work func(ctx context.Context, b api.Backend) error) (err error) {
	if p.out, err = openOut(p.file); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	defer p.out.discard()
	return a.ask(ctx, work)
}

// print prints a trace, and writes its page if a file was given. key is the trace's key as
// the user wrote it.
func (p *tracePage) print(a *app, t *api.Trace, key string) error {
	if err := p.out.write(func(w io.Writer) error { return explain.HTML(w, t, key) }); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	if a.json {
		return a.printJSON(t)
	}
	return explain.Text(a.out, t, key, a.width(), a.style().red)
}
