package daemon

import (
	"fmt"
	"io"
	"slices"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-dht/holdfast/pkg/config"
)

// descriptorsForLibp2p is the share of file descriptors libp2p may count on; the
// rest is for the database, the admin socket and metrics.
const descriptorsForLibp2p = 0.8

// fallbackDescriptors is used where the limit cannot be asked for.
const fallbackDescriptors = 1024

// hostConfig is what a libp2p host is made of.
type hostConfig struct {
	key      crypto.PrivKey
	listen   []ma.Multiaddr // empty: only dials
	announce []string
	limits   config.Limits
	mapPort  bool                  // ask the router for a port mapping
	registry prometheus.Registerer // nil: no metrics of libp2p
}

// newHost starts a libp2p host over TCP and QUIC.
func newHost(c hostConfig) (host.Host, error) {
	conns, err := newConnections(c.limits.ConnectionsLow, c.limits.ConnectionsHigh)
	if err != nil {
		return nil, err
	}
	defer closeUnlessUsed(&err, conns)
	resources, err := newResources(c)
	if err != nil {
		return nil, err
	}
	defer closeUnlessUsed(&err, resources)
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(append(options, libp2p.ConnectionManager(conns), libp2p.ResourceManager(resources))...)
	if err != nil {
		err = fmt.Errorf("daemon: libp2p: %w", err)
		return nil, err
	}
	return h, nil
}

// closeUnlessUsed closes what no host has taken over.
func closeUnlessUsed(err *error, c io.Closer) {
	if *err != nil {
		c.Close()
	}
}

func (c *hostConfig) options() ([]libp2p.Option, error) {
	options := []libp2p.Option{
		libp2p.Identity(c.key),
		libp2p.UserAgent(Agent()),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Transport(quic.NewTransport),
		libp2p.DisableRelay(), // servers are reached directly; clients come by themselves
	}
	if c.registry == nil {
		options = append(options, libp2p.DisableMetrics())
	} else {
		options = append(options, libp2p.PrometheusRegisterer(c.registry))
	}
	if len(c.listen) == 0 {
		options = append(options, libp2p.NoListenAddrs)
	} else {
		options = append(options, libp2p.ListenAddrs(c.listen...))
	}
	if c.mapPort {
		options = append(options, libp2p.NATPortMap())
	}
	if len(c.announce) > 0 {
		fixed, err := parseAddrs(c.announce)
		if err != nil {
			return nil, err
		}
		options = append(options, libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return fixed }))
	}
	return options, nil
}

func parseAddrs(list []string) ([]ma.Multiaddr, error) {
	addrs := make([]ma.Multiaddr, len(list))
	for i, text := range list {
		a, err := parseAddr(text)
		if err != nil {
			return nil, err
		}
		addrs[i] = a
	}
	return addrs, nil
}

// newResources bounds what libp2p uses.
func newResources(c hostConfig) (network.ResourceManager, error) {
	var options []rcmgr.Option
	if c.registry == nil {
		options = append(options, rcmgr.WithMetricsDisabled())
	}
	r, err := rcmgr.NewResourceManager(newLimiter(c.limits), options...)
	if err != nil {
		return nil, fmt.Errorf("daemon: resource limits: %w", err)
	}
	return r, nil
}

// newLimiter has the defaults of libp2p, scaled to the memory given or to an
// eighth of the machine's.
func newLimiter(l config.Limits) rcmgr.Limiter {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	limits := scaling.AutoScale()
	if l.Memory > 0 {
		// Scaling adds to a base of 128 MiB; what is asked for is the sum.
		limits = rcmgr.PartialLimitConfig{System: rcmgr.ResourceLimits{Memory: rcmgr.LimitVal64(l.Memory)}}.
			Build(scaling.Scale(int64(l.Memory), descriptors()))
	}
	return rcmgr.NewFixedLimiter(roomFor(limits, 2*l.ConnectionsHigh))
}

// setLimits changes the limits of a host made by newHost with metrics: those of
// its connections and of the node as a whole. A part of it, a single peer or a
// protocol, has those of the start.
func setLimits(h host.Host, l config.Limits) error {
	limiter, resources := newLimiter(l), h.Network().ResourceManager()
	set := func(limit rcmgr.Limit) func(network.ResourceScope) error {
		return func(s network.ResourceScope) error {
			s.(rcmgr.ResourceScopeLimiter).SetLimit(limit)
			return nil
		}
	}
	if err := resources.ViewSystem(set(limiter.GetSystemLimits())); err != nil {
		return err
	}
	if err := resources.ViewTransient(set(limiter.GetTransientLimits())); err != nil {
		return err
	}
	metrics, err := rcmgr.NewStatsTraceReporter()
	if err != nil {
		return err
	}
	metrics.ReportSystemLimits(limiter)
	return h.ConnManager().(*connections).limit(l.ConnectionsLow, l.ConnectionsHigh)
}

// roomFor raises the limits of connections so that they do not refuse what the
// connection manager is told to keep: on small machines the scaled ones would.
func roomFor(limits rcmgr.ConcreteLimitConfig, conns int) rcmgr.ConcreteLimitConfig {
	system := limits.ToPartialLimitConfig().System
	atLeast := func(v rcmgr.LimitVal) rcmgr.LimitVal { return max(v, rcmgr.LimitVal(conns)) }
	return rcmgr.PartialLimitConfig{System: rcmgr.ResourceLimits{
		Conns: atLeast(system.Conns), ConnsInbound: atLeast(system.ConnsInbound), ConnsOutbound: atLeast(system.ConnsOutbound),
	}}.Build(limits)
}

// fullAddrs appends /p2p/<peer ID> to each address.
func fullAddrs(id peer.ID, addrs []ma.Multiaddr) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String() + "/p2p/" + id.String()
	}
	return out
}

// addrRank puts what most others can dial first: IPv4 before IPv6, TCP before QUIC.
func addrRank(a ma.Multiaddr) int {
	rank := 0
	if hasProtocol(a, ma.P_UDP) {
		rank++
	}
	if hasProtocol(a, ma.P_IP6) {
		rank += 2
	}
	return rank
}

// listenAddrs returns the full addresses the host listens on, those announced
// instead of them if there are any.
func listenAddrs(h host.Host, announce []string) []string {
	if len(announce) > 0 {
		return fullAddrs(h.ID(), h.Addrs())
	}
	addrs, err := h.Network().InterfaceListenAddresses()
	if err != nil {
		addrs = h.Network().ListenAddresses()
	}
	slices.SortStableFunc(addrs, func(a, b ma.Multiaddr) int { return addrRank(a) - addrRank(b) })
	return fullAddrs(h.ID(), addrs)
}
