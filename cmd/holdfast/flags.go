package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// client is how a command reaches the node that it asks: a daemon by its socket, or a
// network by a short-lived node.
type client struct {
	socket    string        // --api
	timeout   time.Duration // --timeout
	bootstrap []string      // --bootstrap
	prefix    string        // --protocol-prefix
	verbose   bool          // --verbose
	namespace []string      // --namespace
	rawKeys   bool          // --raw-keys
}

// alone reports whether the command runs its own node, which ends with it.
func (c *client) alone() bool { return len(c.bootstrap) > 0 }

// nodeFlags adds the flags of commands that ask the daemon or, with --bootstrap, a
// network.
func (c *client) nodeFlags(cmd *cobra.Command) *cobra.Command {
	c.askFlags(cmd)
	c.networkFlags(cmd.Flags())
	idle(cmd, c.valueFlags)
	return cmd
}

// valueNodeFlags adds nodeFlags and the flags for values.
func (c *client) valueNodeFlags(cmd *cobra.Command) *cobra.Command {
	c.askFlags(cmd)
	c.networkFlags(cmd.Flags())
	c.valueFlags(cmd.Flags())
	return cmd
}

// daemonFlags adds the flags of commands that ask only the daemon.
func (c *client) daemonFlags(cmd *cobra.Command) *cobra.Command {
	c.askFlags(cmd)
	idle(cmd, c.networkFlags, c.valueFlags)
	return cmd
}

func (c *client) askFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	c.socketFlag(f)
	f.DurationVar(&c.timeout, "timeout", 0, "give up after this `time` (0: wait as long as the daemon answers)")
}

func (c *client) socketFlag(f *pflag.FlagSet) {
	f.StringVar(&c.socket, "api", "", "admin `socket` of the daemon (api.socket)")
}

// networkFlags adds the flags that select the network to join.
func (c *client) networkFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&c.bootstrap, "bootstrap", nil, "full `multiaddrs` of peers to start from, separated by spaces")
	f.StringVar(&c.prefix, "protocol-prefix", "", "`prefix` of the network's protocol (network.protocol_prefix)")
	f.BoolVar(&c.verbose, "verbose", false, "log each request, in and out")
}

// valueFlags adds the flags that select the accepted values.
func (c *client) valueFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&c.namespace, "namespace", nil, "accept this `namespace` without a validator (values.unvalidated_namespaces)")
	f.BoolVar(&c.rawKeys, "raw-keys", false, "accept value keys without a namespace (values.raw_keys)")
}

// idleFlag marks a flag that every command used to have, on a command that does not need
// it. The flag is hidden and still accepted, with a warning on stderr.
const idleFlag = "holdfast_idle"

func idle(cmd *cobra.Command, add ...func(*pflag.FlagSet)) {
	idle := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, flags := range add {
		flags(idle)
	}
	idle.VisitAll(func(f *pflag.Flag) {
		f.Hidden = true
		f.Annotations = map[string][]string{idleFlag: nil}
		cmd.Flags().AddFlag(f)
	})
}

// warnIdleFlags warns about flags that are not for this command.
func (a *app) warnIdleFlags(cmd *cobra.Command) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if _, ok := f.Annotations[idleFlag]; ok {
			fmt.Fprintf(a.errs, "holdfast: --%s is not for `%s`; a later version will refuse it\n", f.Name, cmd.CommandPath())
		}
	})
}

// changed returns the first of some flags that was given, or "" if none was.
func changed(cmd *cobra.Command, names ...string) string {
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

// checkCount rejects a --count below 1.
func checkCount(n int) error {
	if n < 1 {
		return usagef("--count %d is less than 1", n)
	}
	return nil
}
