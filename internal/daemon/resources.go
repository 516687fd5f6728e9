package daemon

import (
	"fmt"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// descriptorsForLibp2p is the share of file descriptors that libp2p may use. The rest is
// for the database, the admin socket and metrics.
const descriptorsForLibp2p = 0.8

// fallbackDescriptors is the limit where the system does not report one.
const fallbackDescriptors = 1024

// Bounds of inbound DHT streams. The node has its own bounds and ends idle streams for
// new ones, while libp2p's resource manager only refuses. So the node's bounds must be
// reached first.
const (
	// streamsPerConnection is how many streams the node admits for each connection
	// up to limits.connections_high. Clients keep one or two.
	streamsPerConnection = 8
	// streamWindow is the memory that yamux reserves from libp2p's limit for each stream,
	// in bytes (go-yamux, initialStreamWindow).
	streamWindow = 256 << 10
	// otherStreams is how many streams are left for other protocols, such as identify and
	// ping.
	otherStreams = 256
)

// maxInboundStreams returns how many DHT streams of peers the node admits: as many
// as connections_high needs, and no more than half of libp2p's memory holds.
func maxInboundStreams(l config.Limits) int {
	memory := int64(scaledLimits(l).ToPartialLimitConfig().System.Memory)
	return max(1, min(streamsPerConnection*l.ConnectionsHigh, int(memory/2/streamWindow)))
}

// newResources returns the resource manager, which limits the resources of libp2p.
func newResources(c hostConfig) (network.ResourceManager, error) {
	var options []rcmgr.Option
	if c.registry == nil {
		options = append(options, rcmgr.WithMetricsDisabled())
	}
	if c.blocked != nil {
		options = append(options, rcmgr.WithTraceReporter(c.blocked))
	}
	options = append(options, limitPerAddress(c.limits.ConnectionsPerAddress)...)
	r, err := rcmgr.NewResourceManager(newLimiter(c.protocol, c.limits), options...)
	if err != nil {
		return nil, fmt.Errorf("resource limits: %w", err)
	}
	return &addressLimits{ResourceManager: r, rate: newConnectionRate(c.limits.ConnectionsPerAddress), crowded: c.crowded}, nil
}

// scaledLimits returns the default limits of libp2p, scaled to the given memory or to an
// eighth of the machine's.
func scaledLimits(l config.Limits) rcmgr.ConcreteLimitConfig {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	if l.Memory == 0 {
		return scaling.AutoScale()
	}
	// Scaling adds to a base of 128 MiB, but limits.memory is the total.
	return rcmgr.PartialLimitConfig{System: rcmgr.ResourceLimits{Memory: rcmgr.LimitVal64(l.Memory)}}.
		Build(scaling.Scale(int64(l.Memory), descriptors()))
}

// newLimiter returns the limits of libp2p for a node with the protocol. They never refuse
// a connection below connections_high or a stream that the node would admit. On small
// machines the scaled defaults would.
func newLimiter(p protocol.ID, l config.Limits) rcmgr.Limiter {
	limits := scaledLimits(l)
	scaled := limits.ToPartialLimitConfig()
	streams := maxInboundStreams(l)
	streams += streams/4 + 1 // some have ended but still count
	ofPeer := rpc.DefaultMaxStreamsPerPeer + rpc.DefaultMaxStreamsPerPeer/4
	system := atLeast(scaled.System, 2*l.ConnectionsHigh, streams+otherStreams)
	return rcmgr.NewFixedLimiter(rcmgr.PartialLimitConfig{
		System:       system,
		Protocol:     map[protocol.ID]rcmgr.ResourceLimits{p: atLeast(scaled.ProtocolDefault, 0, streams)},
		ProtocolPeer: map[protocol.ID]rcmgr.ResourceLimits{p: atLeast(scaled.ProtocolPeerDefault, 0, ofPeer)},
	}.Build(limits))
}

// atLeast raises the limits of connections and of inbound streams.
func atLeast(r rcmgr.ResourceLimits, conns, streams int) rcmgr.ResourceLimits {
	raise := func(v rcmgr.LimitVal, to int) rcmgr.LimitVal {
		if v == rcmgr.Unlimited {
			return v
		}
		return max(v, rcmgr.LimitVal(to))
	}
	r.Conns, r.ConnsInbound, r.ConnsOutbound = raise(r.Conns, conns), raise(r.ConnsInbound, conns), raise(r.ConnsOutbound, conns)
	r.StreamsInbound = raise(r.StreamsInbound, streams)
	if r.StreamsInbound != rcmgr.Unlimited && r.StreamsOutbound != rcmgr.Unlimited {
		r.Streams = raise(r.Streams, int(r.StreamsInbound+r.StreamsOutbound))
	}
	return r
}

// setLimits changes the limits of a host made by newHost with metrics: those of its
// connections, of the DHT's protocol and of the node as a whole. The limits of a single
// peer stay as at the start.
func setLimits(h host.Host, p protocol.ID, l config.Limits) error {
	limiter, resources := newLimiter(p, l), h.Network().ResourceManager()
	set := func(s network.ResourceScope, limit rcmgr.Limit) error {
		s.(rcmgr.ResourceScopeLimiter).SetLimit(limit)
		return nil
	}
	system := func(s network.ResourceScope) error { return set(s, limiter.GetSystemLimits()) }
	if err := resources.ViewSystem(system); err != nil {
		return err
	}
	transient := func(s network.ResourceScope) error { return set(s, limiter.GetTransientLimits()) }
	if err := resources.ViewTransient(transient); err != nil {
		return err
	}
	ofProtocol := func(s network.ProtocolScope) error { return set(s, limiter.GetProtocolLimits(p)) }
	if err := resources.ViewProtocol(p, ofProtocol); err != nil {
		return err
	}
	metrics, err := rcmgr.NewStatsTraceReporter()
	if err != nil {
		return err
	}
	metrics.ReportSystemLimits(limiter)
	return h.ConnManager().(*connections).limit(l.ConnectionsLow, l.ConnectionsHigh)
}
