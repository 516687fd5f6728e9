package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// maxStdin bounds a value read from standard input, in bytes. It is more than any
// configuration allows, so that the node reports its own limit.
const maxStdin = 8 << 20

// putCommand is `holdfast put`.
type putCommand struct {
	*app
	ttl time.Duration
}

func newPut(a *app) *cobra.Command {
	c := &putCommand{app: a}
	cmd := &cobra.Command{
		Use:   "put KEY VALUE",
		Short: "Store a value in the network",
		Long: `Store a value at the peers closest to its key. VALUE "-" reads standard input.

The daemon republishes it until "holdfast unpublish KEY"; with --ttl it stops after that
time instead. A key such as /example/greeting needs nodes that accept its namespace, see
"holdfast serve --namespace".`,
		Example: `  holdfast put /example/greeting 'hello'
  holdfast put /ipns/k51... - < record.bin
  holdfast put --ttl 1h /example/today 'sunny'`,
		Args: exactly("KEY", "VALUE"),
		RunE: c.run,
	}
	cmd.Flags().DurationVar(&c.ttl, "ttl", 0, "lifetime, at most 48h (default: values.default_ttl, and republished)")
	return a.valueNodeFlags(cmd)
}

func (c *putCommand) run(cmd *cobra.Command, args []string) error {
	key, err := parseKey(args[0])
	if err != nil {
		return err
	}
	if cmd.Flags().Changed("ttl") && c.ttl < time.Second {
		return usagef("--ttl %s is too short; at least 1s", c.ttl)
	}
	value, err := c.value(cmd.Context(), args[1])
	if err != nil {
		return err
	}
	return c.ask(cmd.Context(), func(ctx context.Context, b api.Backend) error {
		return asWritten(c.put(ctx, b, args[0], key, value), args[0])
	})
}

// value returns the argument, or standard input for "-".
func (c *putCommand) value(ctx context.Context, arg string) (data []byte, err error) {
	if arg != "-" {
		return []byte(arg), nil
	}
	err = untilInterrupted(ctx, func() (err error) {
		data, err = io.ReadAll(io.LimitReader(c.in, maxStdin+1))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(data) > maxStdin {
		return nil, fmt.Errorf("standard input has more than %d bytes", maxStdin)
	}
	return data, nil
}

func (c *putCommand) put(ctx context.Context, b api.Backend, text string, key, value []byte) error {
	res, err := b.Put(ctx, key, value, c.ttl)
	if err != nil {
		return err
	}
	if err := c.notStored("value", text, res); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(storedJSON{Key: text, Stored: res})
	}
	return c.printf("Stored value with key: %s (%s)\n", text, storedAt(&res))
}
