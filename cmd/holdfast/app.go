package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
	"github.com/holdfast-dht/holdfast/pkg/daemon"
)

// Exit codes.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitNoDaemon = 4
)

// app is one run of the command line.
type app struct {
	in        io.Reader
	out, errs io.Writer
	getenv    func(string) string
	environ   []string

	json      bool
	config    string        // --config
	dataDir   string        // --data-dir
	socket    string        // --api
	bootstrap []string      // --bootstrap
	prefix    string        // --protocol-prefix
	namespace []string      // --namespace
	rawKeys   bool          // --raw-keys
	timeout   time.Duration // --timeout
	verbose   bool          // --verbose

	ran bool // the arguments were good enough to start
}

// usageError is a mistake in the arguments.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run executes one command line and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(expandBootstrap(args))
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errs)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		err = errors.New("interrupted")
	case err.Error() == context.DeadlineExceeded.Error(): // nobody said more
		err = fmt.Errorf("gave up after %s (--timeout)", a.timeout)
	}
	code := a.exitCode(err)
	fmt.Fprintf(a.errs, "holdfast: %s\n", forPeople(err))
	if code == exitUsage {
		fmt.Fprintf(a.errs, "See `%s --help`.\n", cmd.CommandPath())
	}
	return code
}

func (a *app) exitCode(err error) int {
	var usage usageError
	switch {
	case errors.As(err, &usage), !a.ran:
		return exitUsage
	case errors.Is(err, api.ErrNotFound):
		return exitNotFound
	case errors.Is(err, api.ErrNoDaemon):
		return exitNoDaemon
	}
	return exitFailed
}

// packagePrefix is what errors of the packages begin with; people need it not.
var packagePrefix = regexp.MustCompile(`(?m)(^|: )(?:api|config|daemon|node|records|storage|workload): `)

func forPeople(err error) string {
	lines := strings.Split(packagePrefix.ReplaceAllString(err.Error(), "$1"), "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	return strings.Join(lines, "\n")
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "holdfast",
		Short: "An always-on Kademlia DHT node for libp2p networks",
		Long: `holdfast is an always-on Kademlia DHT node for libp2p networks, and its command line.

Commands that need a node talk to the running daemon. With --bootstrap ADDR... they
start a short-lived node instead. Keys are a CID, /namespace/..., hex:..., b58:...,
text:..., base58 of exactly 32 bytes, or plain text.`,
		Example: `  holdfast serve
  holdfast put /example/greeting 'hello' && holdfast get /example/greeting
  holdfast find-providers bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi`,
		Version:          daemon.Version,
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { a.ran = true },
		Args:             cobra.NoArgs,
		RunE:             func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print JSON: one object, or one a line for lists")
	f.StringVar(&a.config, "config", "", "configuration `file`")
	f.StringVar(&a.dataDir, "data-dir", "", "data `directory` of the daemon (storage.path)")
	root.AddCommand(
		a.serveCommand(), a.demoCommand(), a.idCommand(),
		a.statusCommand(), a.peersCommand(), a.tableCommand(),
		a.putCommand(), a.getCommand(), a.unpublishCommand(),
		a.provideCommand(), a.unprovideCommand(), a.providesCommand(), a.findProvidersCommand(),
		a.findPeerCommand(), a.closestCommand(), a.pingCommand(), a.explainCommand(), a.topCommand(),
		a.republishCommand(), a.configCommand(), a.healthCommand(), a.logCommand(), a.debugCommand(), a.versionCommand(),
		a.checkCommand(), a.compactCommand(), a.backupCommand(), a.restoreCommand(), a.benchCommand(), a.simCommand(),
		a.manCommand(),
	)
	completionCommands(root)
	complete(root)
	return root
}

// nodeFlags adds the flags of commands that need a node.
func (a *app) nodeFlags(cmd *cobra.Command) *cobra.Command {
	f := cmd.Flags()
	f.StringVar(&a.socket, "api", "", "admin `socket` of the daemon (api.socket)")
	f.DurationVar(&a.timeout, "timeout", 0, "give up after this `time` (0: when the lookup ends)")
	a.networkFlags(cmd)
	return cmd
}

// networkFlags adds the flags that describe a network.
func (a *app) networkFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&a.bootstrap, "bootstrap", nil, "full `multiaddrs` of peers to start from, separated by spaces")
	f.StringVar(&a.prefix, "protocol-prefix", "", "`prefix` of the network's protocol (network.protocol_prefix)")
	f.StringArrayVar(&a.namespace, "namespace", nil, "accept this `namespace` without a validator (values.unvalidated_namespaces)")
	f.BoolVar(&a.rawKeys, "raw-keys", false, "accept value keys without a namespace (values.raw_keys)")
	f.BoolVar(&a.verbose, "verbose", false, "log each request, in and out")
}

// exactly is cobra.ExactArgs with a message that says what is missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usagef("%s is missing", names[len(args)])
		}
		if len(args) > len(names) {
			return usagef("%q is one argument too many (%s)", args[len(names)], strings.Join(names, " "))
		}
		return nil
	}
}
