package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/internal/memlimit"
	"github.com/holdfast-dht/holdfast/internal/usage"
	"github.com/holdfast-dht/holdfast/metrics"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/storage"
)

// States of a daemon, as status and metrics name them.
const (
	stateStarting = "starting"
	stateJoining  = "joining" // no peer of the network has answered yet
	stateReady    = "ready"
	stateIsolated = "isolated" // ready, but no peer answers
	stateStopping = "stopping"
)

// Bounds of the steps of Close. Their sum is under ten seconds.
const (
	closeRequests = 500 * time.Millisecond // requests in progress on one of three listeners; closing it may take twice that
	closeNode     = 4 * time.Second
	closeHost     = time.Second
	closeStore    = 1500 * time.Millisecond
)

// Options configures Start.
type Options struct {
	Loaded *config.Loaded
	Logs   *Logs
	// Getenv returns the variables with the directories of systemd and of the user. Nil:
	// os.Getenv.
	Getenv func(string) string
	// Reload reads the configuration again, from the same places.
	Reload func() (*config.Loaded, error)
}

// Daemon is a running node with its database, sockets and background work. Safe for
// concurrent use.
//
// Start takes these steps, and Close undoes them in reverse order:
//
//  1. Check the configuration.
//  2. Lock the data directory and open the database.
//  3. Start the libp2p host and the node on it.
//  4. Open the admin socket, then the listeners for metrics and delegated routing.
//  5. Notify systemd and start the background work: bootstrap, watchdog, disk watch and
//     status line.
//
// Each step registers how to undo it, with a bound on the time. If a step fails, Start
// undoes the steps before it. The sum of the bounds is under ten seconds, so Close returns
// within ten seconds even if a part hangs.
type Daemon struct {
	options Options
	config  config.Config
	log     *slog.Logger
	dataDir string
	started time.Time
	starts  starts // with this one

	metrics *metrics.Metrics
	usage   *usage.Account
	store   *storage.DB
	disk    *diskWatch
	clean   bool // the last user of the database closed it properly
	host    host.Host
	node    *node.Node
	backend *Backend
	web     *web // metrics and health; nil: off
	routing *web // delegated routing; nil: off

	blocked   blocked
	crowded   crowded
	latencies latencies
	recorder  *recorder

	state      atomic.Value // string
	stops      []stop       // in order of start
	closing    sync.Once
	closed     error
	ctx        context.Context // of the background work; ends with Close
	cancel     context.CancelFunc
	background sync.WaitGroup
	bootstrap  bootstrapResult
	refused    atomic.Pointer[refusal] // of the last reload; nil: it was applied, or there was none

	mu     sync.Mutex // serialises Reload
	loaded *config.Loaded
}

// stop undoes one step of Start.
type stop struct {
	name  string
	bound time.Duration
	do    func() error
}

// Start starts a daemon. Nothing is left running if it fails.
func Start(o Options) (*Daemon, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	d := &Daemon{
		options: o, config: o.Loaded.Config, loaded: o.Loaded, log: o.Logs.Logger("daemon"),
		started: time.Now(), bootstrap: bootstrapResult{done: make(chan struct{})},
		usage: usage.New(),
	}
	b := BuildInfo()
	d.metrics = metrics.New(b.Version, b.Revision)
	d.disk = newDiskWatch(d.metrics.Storage(), d.log)
	d.crowded.log, d.crowded.most = d.log, d.config.Limits.ConnectionsPerAddress
	d.log.Info("starting", "version", b.Version, "revision", b.Revision, "go", b.Go, "config", d.loaded.File)
	d.state.Store(stateStarting)
	d.ctx, d.cancel = context.WithCancel(context.Background())
	for _, step := range []func() error{d.check, d.openStore, d.startNode, d.startAPI, d.startWeb, d.startRouting} {
		if err := step(); err != nil {
			err = errors.Join(err, d.undo())
			notifyStatus(d.log, "not started: %v", err)
			return nil, err
		}
	}
	d.ready()
	return d, nil
}

func (d *Daemon) check() error { return d.loaded.WithOrigins(Check(&d.config)) }

// startHost starts the libp2p host.
func (d *Daemon) startHost(gate *rpc.Gate, holes *blackHoles) error {
	key, created, err := identity(d.dataDir, d.options.Getenv)
	if err != nil {
		return err
	}
	d.noteNode(key)
	if mode, open := openIdentity(d.dataDir); open {
		d.log.Warn("other users can read the private key and could run as this peer; chmod 600 the file", "file", filepath.Join(d.dataDir, IdentityFile), "mode", fmt.Sprintf("%#o", mode))
	}
	notifyStatus(d.log, "opening the listeners")
	listen, skipped, err := listenable(d.config.Network.Listen)
	if err != nil {
		return err
	}
	for _, s := range skipped {
		d.log.Info("listen address not available on this machine", "err", s)
	}
	hc := hostSettings(&d.config)
	hc.key, hc.listen, hc.gate, hc.holes, hc.registry = key, listen, gate, holes, d.metrics.Registerer()
	hc.blocked, hc.crowded = &d.blocked, &d.crowded
	hc.mapPort = d.config.Network.PortMapping && !onlyLoopback(listen)
	if d.host, err = newHost(hc); err != nil {
		return err
	}
	d.onClose("libp2p", closeHost, d.host.Close)
	if open := d.host.Network().ListenAddresses(); len(open) < len(listen) { // libp2p starts with one
		return fmt.Errorf("network.listen: libp2p listens on %s only, not on all of %s", open, listen)
	}
	d.log.Info("identity", "peer_id", d.host.ID().String(), "created", created)
	return nil
}

func (d *Daemon) startNode() error {
	gate, holes := rpc.NewGate(nil), newBlackHoles()
	if err := d.startHost(gate, holes); err != nil {
		return err
	}
	bootstrap, err := ParseBootstrap(d.config.Network.Bootstrap)
	if err != nil {
		return err
	}
	c := nodeConfig(&d.config, bootstrap, d.options.Logs)
	c.Store, c.Keystore, c.Snapshots, c.Gate = d.store, d.store, d.store, gate
	c.Retrying = holes.forget
	c.Observer, c.Housekeeping = lookupLatencies{d.metrics.DHT(), &d.latencies}, d.metrics.Housekeeping()
	c.RPCObserver = rpcTrace{log: d.options.Logs.Logger("rpc"), next: observers{d.metrics.RPC(), d.usage, &d.latencies}}
	if d.node, err = node.New(d.host, c); err != nil {
		return err
	}
	d.onClose("node", closeNode, d.node.Close)
	d.recorder = newRecorder(d.observe, d.starts.previous())
	d.metrics.Watch(metrics.Source{
		Node: d.node, Database: d.store, Quotas: quotaLimits(&d.config, d.store), First: c.First, DiskFull: d.disk.full,
		RefusedConnections: d.crowded.counts, UncleanStarts: d.starts.Unclean, MemoryLimit: func() int64 { return memlimit.Read(os.DirFS("/")) },
	})
	d.log.Info("listening", "addresses", addrTexts(d.host.Network().ListenAddresses()), "protocol", string(d.node.Protocol()), "mode", d.config.Network.Mode)
	return nil
}

func (d *Daemon) startAPI() error {
	path, err := socketPath(&d.config, d.dataDir, d.options.Getenv)
	if err != nil {
		return err
	}
	l, err := api.Listen(path)
	if err != nil {
		return err
	}
	unlink, err := linkSocket(path, d.dataDir)
	if err != nil {
		l.Close()
		return err
	}
	d.backend = &Backend{
		node: d.node, logs: d.options.Logs,
		usage: d.usage, held: d.store.Held, overview: d.overview, describe: d.describe, judge: d.judge, health: d.health, bundle: d.bundle, backup: d.store.Backup,
	}
	server := api.NewServer(l, d.backend, d.options.Logs.Logger("api"))
	d.onClose("admin socket", 2*closeRequests, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), closeRequests)
		defer cancel()
		defer unlink()
		return server.Close(ctx)
	})
	d.log.Info("admin socket open", "path", path)
	return nil
}

// ready notifies systemd and starts the background work. It does not wait for bootstrap
// peers, because the first node of a network has none.
func (d *Daemon) ready() {
	d.disk.check(d.store, false) // so that the first answers know of a full disk
	d.state.Store(stateReady)
	d.background.Go(func() { d.reachBootstrap(d.ctx) })
	d.background.Go(func() { watchdog(d.ctx, d.log, d.Healthy) })
	d.background.Go(func() { d.disk.run(d.ctx, d.store) })
	d.background.Go(func() { d.recorder.run(d.ctx) })
	notify(d.log, "READY=1")
	d.background.Go(func() { d.tellStatus(d.ctx) })
	d.log.Info("ready", "took", time.Since(d.started).Round(time.Millisecond).String())
}

// onClose registers how to undo a step of Start.
func (d *Daemon) onClose(name string, bound time.Duration, do func() error) {
	d.stops = append(d.stops, stop{name, bound, do})
}

// Close stops the daemon in the reverse order of its start: requests, the final
// snapshot, connections, the database. It ends within ten seconds and may be
// called again.
func (d *Daemon) Close() error {
	d.closing.Do(func() {
		d.state.Store(stateStopping)
		notify(d.log, "STOPPING=1")
		d.metrics.Stopping()
		d.log.Info("stopping")
		start := time.Now()
		d.closed = d.undo()
		d.log.Info("stopped", "took", time.Since(start).Round(time.Millisecond).String())
	})
	return d.closed
}

func (d *Daemon) undo() error {
	d.cancel()
	var errs []error
	for i := len(d.stops) - 1; i >= 0; i-- {
		s := d.stops[i]
		notifyStatus(d.log, "stopping: %s", s.name)
		done := make(chan error, 1)
		go func() { done <- s.do() }()
		select {
		case err := <-done:
			if err != nil {
				errs = append(errs, fmt.Errorf("close %s: %w", s.name, err))
			}
		case <-time.After(s.bound):
			d.log.Error("a part did not stop in time; stopping without it", "part", s.name, "after", s.bound.String())
			errs = append(errs, fmt.Errorf("%s did not stop within %s", s.name, s.bound))
		}
	}
	d.stops = nil
	d.background.Wait()
	return errors.Join(errs...)
}

// Addrs returns the full addresses that peers can dial, with /p2p/<peer ID>.
func (d *Daemon) Addrs() []string { return listenAddrs(d.host, d.config.Network.Announce) }

// ID returns the peer ID.
func (d *Daemon) ID() peer.ID { return d.host.ID() }

// Host returns the libp2p host, for other protocols than the DHT. They may dial public
// addresses, and private ones that a peer of the network has sent: see rpc.Gate.
func (d *Daemon) Host() host.Host { return d.host }

// Records returns the store that requests are answered from.
func (d *Daemon) Records() records.Store { return d.store }

// Backend returns the admin interface within this process.
func (d *Daemon) Backend() *Backend { return d.backend }

// describe adds the daemon's part to a node's status.
func (d *Daemon) describe(from *node.Status, s *api.Status) {
	switch state, _ := d.state.Load().(string); {
	case state != stateReady:
		s.State = state
	case from.IsolatedSince.IsZero() && d.joined(from) != nil:
		s.State = stateJoining
	}
	if sizes, err := d.store.Sizes(); err == nil { // its observer counts the error
		s.DBBytes, s.DBFill, s.DBMost = sizes.File, sizes.Fill, sizes.Most
		s.DiskFree, s.DiskTotal = sizes.Disk.Free, sizes.Disk.Total
	}
	s.Copies, s.CopiesBytes = d.copies()
	damage := d.damage()
	s.DamagedFiles, s.DamagedAt = damage.Files, damage.Last
	s.DBMaxBytes = d.store.MaxBytes()
	s.DiskFullSince = d.disk.fullSince()
	s.DataDir = d.dataDir
	s.Starts, s.UncleanStarts = d.starts.Count, d.starts.Unclean
	if d.web != nil {
		s.MetricsAddr = d.web.addr
	}
	if d.routing != nil {
		s.RoutingAddr = d.routing.addr
	}
}
