package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// app is the state that commands share in one run of the command line: the streams, the
// flags that every command has, and how to reach the node. Each command has its own type
// for its own flags, in a file with its name.
type app struct {
	in        io.Reader
	out, errs io.Writer
	getenv    func(string) string
	environ   []string

	systemRoot string // put before the directories of systemd; empty except in tests

	json    bool   // --json
	config  string // --config
	dataDir string // --data-dir
	client         // for commands that ask a node

	cmd     *cobra.Command // the running command; nil until its arguments are valid
	endless bool           // it runs until it is interrupted, so an interrupt is not an error
}

// run executes one command line and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	args = expandBootstrap(args)
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errs)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	a.json = a.json || wantsJSON(args)
	if ctx.Err() != nil && !a.endless {
		err = errInterrupted
	}
	code := a.exitCode(err)
	a.printError(cmd, err, code)
	return code
}

// untilInterrupted does work that does not watch ctx, such as a read of standard input,
// and returns when ctx ends. The work then ends with the process, as if the process was
// killed.
func untilInterrupted(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// message returns the text of an error, safe for a terminal, with its line breaks.
func message(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = columns.Printable(line)
	}
	return strings.Join(lines, "\n")
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "holdfast",
		Short: "An always-on Kademlia DHT node for libp2p networks",
		Long: `holdfast is an always-on Kademlia DHT node for libp2p networks, and its command line.

Commands that need a node ask the running daemon. With --bootstrap ADDR... they start a
short-lived node instead. Keys are a CID, /ipfs/CID/..., ipfs://CID, a peer ID,
/ipns/NAME, /namespace/..., hex:..., b58:..., text:..., base58 of exactly 32 bytes,
or plain text. Text that looks like a damaged CID, IPNS name or peer ID is rejected; write
text: before it to use it as plain text.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 no daemon reached,
130 interrupted.`,
		Example: `  holdfast serve --namespace example
  holdfast put /example/greeting 'hello' && holdfast get /example/greeting
  holdfast find-providers bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi`,
		Version:       daemon.BuildInfo().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			a.cmd = cmd
			a.warnIdleFlags(cmd)
		},
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print JSON: one object, or one per line for lists")
	f.StringVar(&a.config, "config", "", "configuration `file`")
	f.StringVar(&a.dataDir, "data-dir", "", "data `directory` of the daemon (storage.path)")
	addGroup(root, "Run a node:", newServe(a), newDemo(a), newID(a), newConfig(a))
	addGroup(root, "Publish and find:", newPut(a), newGet(a), newUnpublish(a),
		newProvide(a), newUnprovide(a), newProvides(a), newFindProviders(a),
		newFindPeer(a), newClosest(a), newPing(a), newExplain(a))
	addGroup(root, "Watch the daemon:", newStatus(a), newTop(a), newHealth(a), newPeers(a), newTable(a),
		newRepublish(a), newLog(a), newDebug(a))
	addGroup(root, "Maintain the database:", newCheck(a), newCompact(a), newBackup(a), newRestore(a))
	addGroup(root, "Measure and simulate:", newBench(a), newSim(a))
	addGroup(root, otherGroup, newVersion(a), newMan(a))
	root.SetHelpCommandGroupID(otherGroup)
	root.SetCompletionCommandGroupID(otherGroup)
	root.SetFlagErrorFunc(badFlag)
	helpCommand(root)
	completionCommands(root)
	complete(root)
	return root
}

const otherGroup = "Other:"

// addGroup adds commands under one title in the help.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, cmd := range commands {
		cmd.GroupID = title
	}
	root.AddCommand(commands...)
}
