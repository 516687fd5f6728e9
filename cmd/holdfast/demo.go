package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// The keys and values that the demo stores and announces: those of py-libp2p's Kademlia
// example in its older and newer versions, so that each program finds the records of the
// other.
const (
	demoKey     = "FVDjasarSFDoLPMdgnp1dHSbW2ZAfN8NU2zNbCQeczgP"
	demoValue   = "Hello message from Sumanjeet"
	demoContent = "361f2ed1183bca491b8aec11f0b9e5c06724759b0f7480ae7fb4894901993bc8"

	demoNewKey     = "/example/my-example-key"
	demoNewValue   = "Hello from py-libp2p!"
	demoNewContent = "my-content-identifier"
)

// demoAddrFile is the file in which a server saves its address for a client.
const demoAddrFile = "server_node_addr.txt"

// demoTimeout bounds the joining of the network, and each lookup of a client.
const demoTimeout = 30 * time.Second

// demoCommand is one run of `holdfast demo`.
type demoCommand struct {
	*app
	mode     string
	port     int
	addrFile string
	d        *daemon.Daemon
	fromFile bool // the bootstrap address was read from addrFile
}

func newDemo(a *app) *cobra.Command {
	d := &demoCommand{app: a}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Store and find a value and content between two terminals",
		Long: `Run a node that stores a value and announces content (server), or one that finds
both (client). It is the node that "holdfast serve" runs, on /ipfs/kad/1.0.0, and it also
accepts raw keys and the namespace "example", so that it works with the Kademlia example of
py-libp2p.

A client without --bootstrap reads the address from the --addr-file of a server.
Exit codes of a client: 0 found, 3 not found, 1 no server reached.`,
		Example: `  holdfast demo
  holdfast demo --mode client
  holdfast demo --mode client --bootstrap /ip4/127.0.0.1/tcp/8000/p2p/... /ip4/127.0.0.1/tcp/8001/p2p/...`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringVar(&d.mode, "mode", "server", "server or client")
	f.IntVar(&d.port, "port", 0, "`port` to listen on, 0 for a random one")
	f.StringArrayVar(&a.bootstrap, "bootstrap", nil, "full `multiaddrs` of peers to start from, separated by spaces")
	f.BoolVar(&a.verbose, "verbose", false, "log each request, in and out")
	f.StringVar(&d.addrFile, "addr-file", demoAddrFile, "`file` in which a server saves its address for clients")
	return cmd
}

func (d *demoCommand) run(ctx context.Context) error {
	if d.mode != "server" && d.mode != "client" {
		return usagef("--mode %q is neither server nor client", d.mode)
	}
	if err := checkAddrs(nil, d.bootstrap, d.port); err != nil {
		return err
	}
	if err := d.findServer(); err != nil {
		return err
	}
	d.say("Running in %s mode on port %d", d.mode, d.port)
	loaded, remove, err := d.settings()
	if err != nil {
		return err
	}
	defer remove()
	logs, err := d.newLogs(&loaded.Config)
	if err != nil {
		return err
	}
	d.d, err = daemon.Start(daemon.Options{Loaded: loaded, Logs: logs, Getenv: d.getenv})
	if err != nil {
		return err
	}
	if err := d.join(ctx); err != nil {
		return errors.Join(err, d.d.Close())
	}
	if d.mode == "client" {
		err = d.client(ctx)
	} else {
		err = d.server(ctx)
	}
	return errors.Join(err, d.d.Close())
}

// say prints one line of output.
func (d *demoCommand) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// findServer sets the bootstrap address of a client from the file, unless it has one.
func (d *demoCommand) findServer() error {
	if d.mode != "client" || len(d.bootstrap) > 0 {
		return nil
	}
	data, err := os.ReadFile(d.addrFile)
	if err != nil {
		return fmt.Errorf("no server address: %w; start `holdfast demo` in this directory first, or give --bootstrap ADDR", err)
	}
	addr := strings.TrimSpace(string(data))
	if _, err := daemon.ParseBootstrap([]string{addr}); err != nil {
		return fmt.Errorf("%s does not hold a server address: %w", d.addrFile, err)
	}
	d.bootstrap, d.fromFile = []string{addr}, true
	return nil
}

// settings returns the configuration of a demo: that of serve, with the changes that a
// demo needs. remove deletes a temporary data directory.
func (d *demoCommand) settings() (loaded *config.Loaded, remove func(), err error) {
	dir, remove := d.dataDir, func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "holdfast-demo-"); err != nil {
			return nil, nil, fmt.Errorf("temporary data directory: %w", err)
		}
		remove = func() { os.RemoveAll(dir) }
	}
	port := fmt.Sprint(d.port)
	level := "warn,daemon=error,libp2p=error"
	if d.verbose {
		level += ",rpc=debug"
	}
	set := func(key, value string) config.Setting { return config.Setting{Key: key, Value: value, Flag: "demo"} }
	loaded, err = config.Load(config.Sources{Flags: []config.Setting{
		set("storage.path", dir),
		set("api.socket", filepath.Join(dir, "holdfast.sock")),
		set("network.mode", d.mode),
		{Key: "network.listen", List: []string{"/ip4/0.0.0.0/tcp/" + port, "/ip4/0.0.0.0/udp/" + port + "/quic-v1"}, Flag: "--port"},
		{Key: "network.bootstrap", List: d.bootstrap, Flag: "--bootstrap"},
		set("network.port_mapping", "false"), // a demo runs on one machine
		set("values.raw_keys", "true"),
		set("values.unvalidated_namespaces", "example"),
		set("metrics.listen", config.Off),
		set("log.level", level),
		set("log.format", "text"),
	}})
	if err != nil {
		remove()
	}
	return loaded, remove, err
}

// join waits for the bootstrap peers and prints the address of this node.
func (d *demoCommand) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	reached, failed, err := d.d.Bootstrapped(ctx)
	if err != nil && d.fromFile {
		return fmt.Errorf("the server named in %s is not there; start `holdfast demo` again, or give --bootstrap ADDR: %w", d.addrFile, err)
	}
	if err != nil {
		return err
	}
	for _, err := range failed {
		fmt.Fprintf(d.errs, "holdfast: bootstrap peer not reached: %s\n", daemon.DialFailure(err))
	}
	d.say("Listening on:")
	for _, addr := range d.d.Addrs() {
		d.say("%s", addr)
	}
	d.say("Connected to bootstrap nodes: [%s]", quoted(reached))
	if len(reached) > 0 {
		if err := d.d.WaitForPeer(ctx); err != nil {
			return err
		}
	}
	if d.mode == "server" {
		addr := d.localAddr()
		d.say("To connect to this node, use: --bootstrap %s", addr)
		if err := os.WriteFile(d.addrFile, []byte(addr+"\n"), 0o666); err != nil {
			return fmt.Errorf("save the server address: %w; choose another file with --addr-file", err)
		}
		d.say("Saved server address to log: %s", addr)
	}
	d.say("DHT service started in %s mode", strings.ToUpper(d.mode))
	return nil
}

// localAddr returns the TCP address to dial from this machine.
func (d *demoCommand) localAddr() string {
	addrs := d.d.Addrs()
	for _, a := range addrs {
		if strings.HasPrefix(a, "/ip4/127.0.0.1/tcp/") {
			return a
		}
	}
	return addrs[0]
}

// server stores the value, announces the content, and serves until it is interrupted.
func (d *demoCommand) server(ctx context.Context) error {
	if err := d.publish(ctx); err != nil {
		return err
	}
	d.endless = true
	<-ctx.Done()
	return nil
}

func (d *demoCommand) publish(ctx context.Context) error {
	b := d.d.Backend()
	for _, v := range [][2]string{{demoKey, demoValue}, {demoNewKey, demoNewValue}} {
		if _, err := b.Put(ctx, mustKey(v[0]), []byte(v[1]), 0); err != nil {
			return err
		}
		d.say("Stored value '%s' with key: %s", v[1], v[0])
	}
	for _, content := range [...]string{demoContent, demoNewContent} {
		if _, err := b.Provide(ctx, contentKey(content)); err != nil {
			return err
		}
		d.say("Successfully advertised as server for content: %s", content)
	}
	return nil
}

// mustKey parses a key of this file.
func mustKey(text string) []byte {
	key, err := api.ParseKey(text)
	if err != nil {
		panic(err)
	}
	return key
}

// contentKey returns the key on the wire: the older content is a digest in hex.
func contentKey(content string) []byte {
	if content == demoContent {
		content = "hex:" + content
	}
	return mustKey(content)
}

// client finds the values and the content, under the older and the newer names, because
// there may be servers of either kind. One value and one provider are enough for success.
func (d *demoCommand) client(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*demoTimeout)
	defer cancel()
	valueErr := d.findValues(ctx)
	contentErr := d.findContent(ctx)
	return errors.Join(valueErr, contentErr)
}

func (d *demoCommand) findValues(ctx context.Context) error {
	var last error
	found := false
	for _, key := range [...]string{demoKey, demoNewKey} {
		d.say("Looking up key: %s", key)
		v, err := d.d.Backend().Get(ctx, mustKey(key), 0)
		if err != nil {
			last = err
			continue
		}
		d.say("Retrieved value: %s", columns.Printable(string(v.Value)))
		found = true
	}
	if found {
		return nil
	}
	d.say("Failed to retrieve value")
	return last
}

func (d *demoCommand) findContent(ctx context.Context) error {
	var last error
	found := false
	for _, content := range [...]string{demoContent, demoNewContent} {
		d.say("Looking for servers of content: %s", content)
		var ids []string
		err := d.d.Backend().FindProviders(ctx, contentKey(content), 0, func(p api.Peer) error {
			if id := "'" + p.PeerID + "'"; !slices.Contains(ids, id) { // found again, with more addresses
				ids = append(ids, id)
			}
			return nil
		})
		if len(ids) == 0 {
			last = err
			continue
		}
		d.say("Found %d servers for content: [%s]", len(ids), strings.Join(ids, ", "))
		found = true
	}
	if found {
		return nil
	}
	d.say("No servers found")
	return last
}

// quoted lists peer IDs as the original does: 'a', 'b'.
func quoted(ids []peer.ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = "'" + id.String() + "'"
	}
	return strings.Join(texts, ", ")
}
