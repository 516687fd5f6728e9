package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// noPort is the value of --port if it was not given.
const noPort = math.MinInt

// serveCommand is `holdfast serve`.
type serveCommand struct {
	*app
	listen []string
	mode   string
	port   int
}

func newServe(a *app) *cobra.Command {
	c := &serveCommand{app: a}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Run the daemon until SIGINT or SIGTERM. SIGHUP reloads the configuration.

Without flags: server mode on port 4011 over TCP and QUIC, data in the default
directory, no bootstrap peers. Once ready, it prints the peer ID, the addresses that other
peers can use, and "Ready".`,
		Example: `  holdfast serve
  holdfast serve --port 4012 --data-dir /tmp/b --bootstrap /ip4/127.0.0.1/tcp/4011/p2p/12D3KooW...`,
		Args: exactly(),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringArrayVar(&c.listen, "listen", nil, "`multiaddr` to listen on, may be repeated (network.listen)")
	f.IntVar(&c.port, "port", noPort, "`port` of all listen addresses, 0 for any free one (network.port)")
	f.Lookup("port").DefValue = "0" // not shown
	f.StringVar(&c.mode, "mode", "", "auto, client or server (network.mode)")
	f.StringVar(&a.socket, "api", "", "admin `socket` (api.socket)")
	a.networkFlags(f)
	a.valueFlags(f)
	return cmd
}

func (c *serveCommand) run(cmd *cobra.Command, _ []string) error {
	if err := checkAddrs(c.listen, c.bootstrap, c.port); err != nil {
		return err
	}
	return c.serve(cmd.Context())
}

// checkAddrs returns a usage error if an address of the command line is invalid.
func checkAddrs(listen, bootstrap []string, port int) error {
	var c config.Config
	c.Network.Listen, c.Network.Bootstrap = listen, bootstrap
	flags := map[string]string{"network.listen": "--listen", "network.bootstrap": "--bootstrap"}
	for _, v := range daemon.Check(&c) {
		v.Origin = config.Origin{Source: "flag", Name: flags[v.Key]}
		return usagef("%s", v)
	}
	if port != noPort {
		return checkPort(port)
	}
	return nil
}

func checkPort(port int) error {
	if port < 0 || port > 65535 {
		return usagef("--port %d is not a port; ports are 0 to 65535, 0 means any free port", port)
	}
	return nil
}

func (c *serveCommand) loaded() (*config.Loaded, error) {
	var settings []config.Setting
	if len(c.listen) > 0 {
		settings = append(settings, config.Setting{Key: "network.listen", List: c.listen, Flag: "--listen"})
	}
	if c.mode != "" {
		settings = append(settings, config.Setting{Key: "network.mode", Value: c.mode, Flag: "--mode"})
	}
	if c.port != noPort {
		loaded, err := c.load(settings...)
		if err != nil {
			return loaded, err
		}
		var own config.Config // before --port changes its addresses
		own.Network.Listen = loaded.Config.Network.Listen
		if err := loaded.WithOrigins(daemon.Check(&own)); err != nil {
			return loaded, err
		}
		settings = append(settings, config.Setting{Key: "network.port", Value: strconv.Itoa(c.port), Flag: "--port"})
	}
	return c.checked(settings...)
}

func (c *serveCommand) serve(ctx context.Context) error {
	hup := make(chan os.Signal, 1) // first of all, because SIGHUP kills the process by default
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	loaded, err := c.loaded()
	if err != nil {
		return err
	}
	logs, err := c.newLogs(&loaded.Config)
	if err != nil {
		return err
	}
	d, err := daemon.Start(daemon.Options{Loaded: loaded, Logs: logs, Getenv: c.getenv, Reload: c.loaded})
	if err != nil {
		return err
	}
	c.endless = true
	fmt.Fprintf(c.out, "Peer ID: %s\nListening on:\n", d.ID())
	for _, addr := range d.Addrs() {
		fmt.Fprintln(c.out, addr)
	}
	fmt.Fprintln(c.out, "Ready")
	for {
		select {
		case <-hup:
			_ = d.Reload() // it logs its error; the current settings stay
		case <-ctx.Done():
			return d.Close()
		}
	}
}
