package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
)

func (a *app) provideCommand() *cobra.Command {
	var file string
	var skip bool
	cmd := &cobra.Command{
		Use:   "provide KEY... | provide --file FILE",
		Short: "Announce that this node has content",
		Long: `Announce that this node has the content of each key, now and every cycle until
"holdfast unprovide KEY".

A file holds one key a line; blank lines and lines that begin with # are left out,
"-" is standard input. If a line is not a key, nothing is provided, unless
--skip-invalid leaves such lines out.

The daemon first stores all keys of a file, then announces them by its schedule, while
the command shows how far it is. The daemon goes on when the command is interrupted.
Keys that are provided already keep their schedule, so the same file may be given
again.`,
		Example: `  holdfast provide bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi
  holdfast provide --file keys.txt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFile(file, skip, args); err != nil {
				return err
			}
			if file != "" {
				return a.bulk(file, skip, (*bulk).provide)(cmd, nil)
			}
			keys, err := parseKeys(args)
			if err != nil {
				return err
			}
			return a.with(func(ctx context.Context, b api.Backend, args []string) error {
				return a.provideEach(ctx, b, args, keys)
			})(cmd, args)
		},
	}
	fileFlags(cmd, &file, &skip)
	return a.nodeFlags(cmd)
}

func parseKeys(texts []string) ([][]byte, error) {
	keys := make([][]byte, len(texts))
	for i, text := range texts {
		key, err := api.ParseContentKey(text)
		if err != nil {
			return nil, usageError{err}
		}
		keys[i] = key
	}
	return keys, nil
}

func (a *app) provideEach(ctx context.Context, b api.Backend, texts []string, keys [][]byte) error {
	for i, key := range keys {
		res, err := b.Provide(ctx, key)
		if err != nil {
			return err
		}
		if err := a.tookNobody("announcement", texts[i], res); err != nil {
			return err
		}
		if a.json {
			err = a.printJSON(storedJSON{Key: texts[i], Stored: res})
		} else {
			err = a.printf("Provided key: %s (%s)\n", texts[i], storedAt(&res))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) unprovideCommand() *cobra.Command {
	var file string
	var skip bool
	cmd := &cobra.Command{
		Use:   "unprovide KEY... | unprovide --file FILE",
		Short: "Stop announcing content",
		Long: `Stop announcing content. Records at other peers live until they expire. A file is
read as "holdfast provide" reads it.`,
		Example: `  holdfast unprovide bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi
  holdfast unprovide --file keys.txt`,

		ValidArgsFunction: a.completePublished("provider"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFile(file, skip, args); err != nil {
				return err
			}
			if file != "" {
				return a.bulk(file, skip, (*bulk).unprovide)(cmd, nil)
			}
			keys, err := parseKeys(args)
			if err != nil {
				return err
			}
			return a.with(func(ctx context.Context, b api.Backend, args []string) error {
				for i, key := range keys {
					if err := b.Unprovide(ctx, key); err != nil {
						return err
					}
					if err := a.printKey("Unprovided", args[i]); err != nil {
						return err
					}
				}
				return nil
			})(cmd, args)
		},
	}
	fileFlags(cmd, &file, &skip)
	return a.daemonFlags(cmd)
}

// fileFlags adds the flags of commands that take keys or a file of keys.
func fileFlags(cmd *cobra.Command, file *string, skip *bool) {
	cmd.Flags().StringVar(file, "file", "", "`file` with one key a line")
	cmd.Flags().BoolVar(skip, "skip-invalid", false, "leave out lines of the file that are not keys")
}

// checkFile refuses what does not go together.
func checkFile(file string, skip bool, args []string) error {
	switch {
	case (file == "") == (len(args) == 0):
		return usagef("give either KEY... or --file FILE")
	case skip && file == "":
		return usagef("--skip-invalid goes with --file")
	}
	return nil
}

func (a *app) providesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "provides",
		Short: "List what this node publishes",
		Long: `List the keys this node publishes every cycle: provided content, and values it has put.
Content is known by its multihash: it is listed as a CID of that, whichever CID of it
was provided.`,
		Example: `  holdfast provides --json`,
		Args:    exactly(),
		RunE: a.with(func(ctx context.Context, b api.Backend, _ []string) error {
			var rows [][]string
			err := b.Provides(ctx, func(p api.Published) error {
				text := api.KeyText(p.Key)
				if a.json {
					return a.printJSON(struct {
						Text string `json:"key"`
						api.Published
					}{text, p})
				}
				rows = append(rows, []string{p.Kind, text, ago(p.Last), until(p.Due)})
				return nil
			})
			if err != nil || a.json || len(rows) == 0 {
				return err
			}
			return a.table([]string{"KIND", "KEY", "LAST", "NEXT"}, rows)
		}),
	}
	return a.daemonFlags(cmd)
}

func (a *app) findProvidersCommand() *cobra.Command {
	var count int
	cmd := &cobra.Command{
		Use:   "find-providers KEY",
		Short: "Find peers that have content",
		Long: `Find peers that have the content of a key. Prints one peer a line as soon as it is
found: peer ID, addresses. A peer is printed again, with the new addresses, when
other peers know more of them.`,
		Example: `  holdfast find-providers --count 5 bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi`,
		Args:    exactly("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if count < 0 {
				return usagef("--count %d is negative", count)
			}
			return a.withKey(func(ctx context.Context, b api.Backend, _ string, key []byte) error {
				return b.FindProviders(ctx, key, count, a.printPeer)
			})(cmd, args)
		},
	}
	cmd.Flags().IntVar(&count, "count", 0, "end once this many are found (0: all)")
	return a.nodeFlags(cmd)
}

// printPeer prints a peer on one line: ID and addresses.
func (a *app) printPeer(p api.Peer) error {
	if a.json {
		return a.printJSON(p)
	}
	return a.words(append([]string{p.PeerID}, p.Addrs...))
}
