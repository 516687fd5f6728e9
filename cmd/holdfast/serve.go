package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/config"
	"github.com/holdfast-dht/holdfast/pkg/daemon"
)

// noPort is the value of --port when it was not given.
const noPort = math.MinInt

func (a *app) serveCommand() *cobra.Command {
	var listen []string
	var mode string
	var port int
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Run the daemon until SIGINT or SIGTERM. SIGHUP reloads the configuration.

Without flags: server mode on port 4011 over TCP and QUIC, data in the default
directory, no bootstrap peers. Once ready it prints the peer ID, the addresses to
give to others, and "Ready".`,
		Example: `  holdfast serve
  holdfast serve --port 4012 --data-dir /tmp/b --bootstrap /ip4/127.0.0.1/tcp/4011/p2p/12D3KooW...`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			load := func() (*config.Loaded, error) { return a.loadServe(listen, mode, port) }
			if err := checkAddrs(listen, a.bootstrap, port); err != nil {
				return err
			}
			return a.serve(cmd.Context(), load)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&listen, "listen", nil, "`multiaddr` to listen on, may be repeated (network.listen)")
	f.IntVar(&port, "port", noPort, "`port` of all listen addresses, 0 for any free one")
	f.Lookup("port").DefValue = "0" // not shown
	f.StringVar(&mode, "mode", "", "auto, client or server (network.mode)")
	f.StringVar(&a.socket, "api", "", "admin `socket` (api.socket)")
	a.networkFlags(f)
	a.valueFlags(f)
	return cmd
}

// checkAddrs finds mistakes in the addresses of the command line.
func checkAddrs(listen, bootstrap []string, port int) error {
	var c config.Config
	c.Network.Listen, c.Network.Bootstrap = listen, bootstrap
	if found := daemon.Check(&c); len(found) > 0 {
		return usagef("%s", found[0])
	}
	if port != noPort {
		return checkPort(port)
	}
	return nil
}

func checkPort(port int) error {
	if port < 0 || port > 65535 {
		return usagef("--port %d is no port; ports are 0 to 65535, 0 meaning any free one", port)
	}
	return nil
}

func (a *app) loadServe(listen []string, mode string, port int) (*config.Loaded, error) {
	var settings []config.Setting
	if len(listen) > 0 {
		settings = append(settings, config.Setting{Key: "network.listen", List: listen, Flag: "--listen"})
	}
	if mode != "" {
		settings = append(settings, config.Setting{Key: "network.mode", Value: mode, Flag: "--mode"})
	}
	if port != noPort {
		loaded, err := a.load(settings...)
		if err != nil {
			return loaded, err
		}
		with := daemon.WithPort(loaded.Config.Network.Listen, port)
		settings = append(settings, config.Setting{Key: "network.listen", List: with, Flag: "--port"})
	}
	return a.checked(settings...)
}

func (a *app) serve(ctx context.Context, load func() (*config.Loaded, error)) error {
	hup := make(chan os.Signal, 1) // before anything: SIGHUP kills by default
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	loaded, err := load()
	if err != nil {
		return err
	}
	logs, err := a.newLogs(&loaded.Config)
	if err != nil {
		return err
	}
	d, err := daemon.Start(daemon.Options{Loaded: loaded, Logs: logs, Getenv: a.getenv, Reload: load})
	if err != nil {
		return err
	}
	a.endless = true
	fmt.Fprintf(a.out, "Peer ID: %s\nListening on:\n", d.ID())
	for _, addr := range d.Addrs() {
		fmt.Fprintln(a.out, addr)
	}
	fmt.Fprintln(a.out, "Ready")
	for {
		select {
		case <-hup:
			_ = d.Reload() // logged there; the old configuration stays
		case <-ctx.Done():
			return d.Close()
		}
	}
}
