package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
)

// maxStdin bounds a value read from standard input, in bytes: more than any
// configuration allows, so that the node says what does.
const maxStdin = 8 << 20

func (a *app) putCommand() *cobra.Command {
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "put KEY VALUE",
		Short: "Store a value in the network",
		Long: `Store a value at the peers closest to its key. VALUE "-" reads standard input.

The daemon republishes it until "holdfast unpublish KEY"; with --ttl it ends after
that time instead.`,
		Example: `  holdfast put /example/greeting 'hello'
  holdfast put /ipns/k51... - < record.bin
  holdfast put --ttl 1h /example/today 'sunny'`,
		Args: exactly("KEY", "VALUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := parseKey(args[0])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("ttl") && ttl < time.Second {
				return usagef("--ttl %s is too short; at least 1s", ttl)
			}
			value, err := a.value(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			return a.with(func(ctx context.Context, b api.Backend, _ []string) error {
				return a.put(ctx, b, args[0], key, value, ttl)
			})(cmd, args)
		},
	}
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "lifetime, at most 48h (default: values.default_ttl, and republished)")
	return a.valueNodeFlags(cmd)
}

// value returns the argument, or standard input for "-".
func (a *app) value(ctx context.Context, arg string) (data []byte, err error) {
	if arg != "-" {
		return []byte(arg), nil
	}
	err = untilInterrupted(ctx, func() (err error) {
		data, err = io.ReadAll(io.LimitReader(a.in, maxStdin+1))
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

func (a *app) put(ctx context.Context, b api.Backend, text string, key, value []byte, ttl time.Duration) error {
	res, err := b.Put(ctx, key, value, ttl)
	if err != nil {
		return err
	}
	if err := a.tookNobody("value", text, res); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(storedJSON{Key: text, Stored: res})
	}
	return a.printf("Stored value with key: %s (%s)\n", text, storedAt(&res))
}

// storedAt says where a record went. One that no peer took is no failure: the
// daemon keeps it and tries again.
func storedAt(s *api.Stored) string {
	switch {
	case s.StoredAt > 0:
		return "stored at " + counted(s.StoredAt, "peer")
	case s.Sent > 0:
		return fmt.Sprintf("kept here, not published yet: none of %s took it; the node tries again", counted(s.Sent, "peer"))
	}
	return "kept here, not published yet: no peer answered; the node tries again"
}

// tookNobody is the error of a short-lived node whose record nobody took: it
// ends with the node.
func (a *app) tookNobody(what, text string, res api.Stored) error {
	if a.alone() && res.StoredAt == 0 {
		return fmt.Errorf("no peer took the %s of key %s (sent to %d)", what, text, res.Sent)
	}
	return nil
}

// storedJSON is the JSON of put and provide.
type storedJSON struct {
	Key string `json:"key"`
	api.Stored
}

func (a *app) getCommand() *cobra.Command {
	var quorum int
	var output string
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Find a value in the network",
		Long:  `Find the best value under a key and write its bytes alone to standard output.`,
		Example: `  holdfast get /example/greeting
  holdfast get --output record.bin /ipns/k51...`,
		Args: exactly("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := parseKey(args[0])
			if err != nil {
				return err
			}
			if quorum < 0 {
				return usagef("--quorum %d is negative", quorum)
			}
			return a.with(func(ctx context.Context, b api.Backend, _ []string) error {
				v, err := b.Get(ctx, key, quorum)
				if err != nil {
					return err
				}
				return a.printValue(args[0], v, output)
			})(cmd, args)
		},
	}
	cmd.Flags().IntVar(&quorum, "quorum", 0, "end once this many peers gave the same value (0: the default, 1: the first will do)")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write the value to this `file`")
	return a.valueNodeFlags(cmd)
}

func (a *app) printValue(text string, v api.Value, output string) error {
	if output != "" {
		if err := os.WriteFile(output, v.Value, 0o666); err != nil {
			return fmt.Errorf("write the value: %w", err)
		}
	}
	if a.json {
		return a.printJSON(struct {
			Key string `json:"key"`
			api.Value
		}{text, v})
	}
	if output != "" {
		return nil
	}
	_, err := a.out.Write(v.Value)
	return err
}

func (a *app) unpublishCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "unpublish KEY",
		Short:   "Stop republishing a value",
		Long:    `Stop republishing a value. Copies at other peers live until they expire.`,
		Example: `  holdfast unpublish /example/greeting`,
		Args:    exactly("KEY"),

		ValidArgsFunction: a.completePublished("value"),
		RunE: a.withKey(func(ctx context.Context, b api.Backend, text string, key []byte) error {
			if err := b.Unpublish(ctx, key); err != nil {
				return err
			}
			return a.printKey("Unpublished", text)
		}),
	}
	return a.daemonFlags(cmd)
}

// withKey is with for commands whose only argument is a key.
func (a *app) withKey(run func(ctx context.Context, b api.Backend, text string, key []byte) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		key, err := parseKey(args[0])
		if err != nil {
			return err
		}
		return a.with(func(ctx context.Context, b api.Backend, _ []string) error {
			return run(ctx, b, args[0], key)
		})(cmd, args)
	}
}

// printKey says that something was done with a key.
func (a *app) printKey(done, text string) error {
	if a.json {
		return a.printJSON(map[string]string{"key": text})
	}
	return a.printf("%s key: %s\n", done, text)
}

// parseKey reads a key of the command line; a mistake is one of usage.
func parseKey(text string) ([]byte, error) {
	key, err := api.ParseKey(text)
	if err != nil {
		return nil, usageError{err}
	}
	return key, nil
}
