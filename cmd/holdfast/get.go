package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// getCommand is `holdfast get`.
type getCommand struct {
	*app
	quorum int
	output string
	saved  *outFile // output
}

func newGet(a *app) *cobra.Command {
	c := &getCommand{app: a}
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Find a value in the network",
		Long:  `Find the best value under a key and write its bytes, and nothing else, to standard output.`,
		Example: `  holdfast get /example/greeting
  holdfast get --output record.bin /ipns/k51...`,
		Args: exactly("KEY"),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.IntVar(&c.quorum, "quorum", 0, "stop once this many peers returned the same value (0: the default, 1: use the first)")
	f.StringVarP(&c.output, "output", "o", "", "write the value to this `file`")
	return a.valueNodeFlags(cmd)
}

func (c *getCommand) run(cmd *cobra.Command, args []string) error {
	key, err := parseKey(args[0])
	if err != nil {
		return err
	}
	if c.quorum < 0 {
		return usagef("--quorum %d is negative", c.quorum)
	}
	if c.saved, err = openOut(c.output); err != nil {
		return fmt.Errorf("write the value: %w", err)
	}
	defer c.saved.discard()
	return c.ask(cmd.Context(), func(ctx context.Context, b api.Backend) error {
		v, err := b.Get(ctx, key, c.quorum)
		if err != nil {
			return asWritten(err, args[0])
		}
		return c.print(args[0], v)
	})
}

func (c *getCommand) print(text string, v api.Value) error {
	err := c.saved.write(func(w io.Writer) error {
		_, err := w.Write(v.Value)
		return err
	})
	if err != nil {
		return fmt.Errorf("write the value: %w", err)
	}
	if c.json {
		return c.printJSON(struct {
			Key string `json:"key"`
			api.Value
		}{text, v})
	}
	if c.output != "" {
		return nil
	}
	_, err = c.out.Write(v.Value)
	return err
}
