package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// nodeFlags adds the flags of commands that ask the daemon, or with --bootstrap a
// network.
func (a *app) nodeFlags(cmd *cobra.Command) *cobra.Command {
	a.askFlags(cmd)
	a.networkFlags(cmd.Flags())
	a.idle(cmd, a.valueFlags)
	return cmd
}

// valueNodeFlags adds the flags of commands that do so with values.
func (a *app) valueNodeFlags(cmd *cobra.Command) *cobra.Command {
	a.askFlags(cmd)
	a.networkFlags(cmd.Flags())
	a.valueFlags(cmd.Flags())
	return cmd
}

// daemonFlags adds the flags of commands that are about the daemon.
func (a *app) daemonFlags(cmd *cobra.Command) *cobra.Command {
	a.askFlags(cmd)
	a.idle(cmd, a.networkFlags, a.valueFlags)
	return cmd
}

func (a *app) askFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	a.socketFlag(f)
	f.DurationVar(&a.timeout, "timeout", 0, "give up after this `time` (0: wait as long as the daemon answers)")
}

func (a *app) socketFlag(f *pflag.FlagSet) {
	f.StringVar(&a.socket, "api", "", "admin `socket` of the daemon (api.socket)")
}

// networkFlags adds the flags that say which network to join.
func (a *app) networkFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&a.bootstrap, "bootstrap", nil, "full `multiaddrs` of peers to start from, separated by spaces")
	f.StringVar(&a.prefix, "protocol-prefix", "", "`prefix` of the network's protocol (network.protocol_prefix)")
	f.BoolVar(&a.verbose, "verbose", false, "log each request, in and out")
}

// valueFlags adds the flags that say which values are accepted.
func (a *app) valueFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&a.namespace, "namespace", nil, "accept this `namespace` without a validator (values.unvalidated_namespaces)")
	f.BoolVar(&a.rawKeys, "raw-keys", false, "accept value keys without a namespace (values.raw_keys)")
}

// idleFlag marks a flag that every command took once, on one that it is not for. It is
// hidden and goes on doing what it did, with a word on stderr.
const idleFlag = "holdfast_idle"

func (a *app) idle(cmd *cobra.Command, add ...func(*pflag.FlagSet)) {
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

// tellIdle names the flags given that are not for this command.
func (a *app) tellIdle(cmd *cobra.Command) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if _, ok := f.Annotations[idleFlag]; ok {
			fmt.Fprintf(a.errs, "holdfast: --%s is not for `%s`; a later version will refuse it\n", f.Name, cmd.CommandPath())
		}
	})
}

// changed is the first of some flags that was given, "" if none was.
func changed(cmd *cobra.Command, names ...string) string {
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			return name
		}
	}
	return ""
}
