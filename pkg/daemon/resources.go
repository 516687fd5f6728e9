package daemon

import (
	"fmt"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"github.com/holdfast-dht/holdfast/pkg/config"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// descriptorsForLibp2p is the share of file descriptors libp2p may count on; the
// rest is for the database, the admin socket and metrics.
const descriptorsForLibp2p = 0.8

// fallbackDescriptors is used where the limit cannot be asked for.
const fallbackDescriptors = 1024

// Inbound streams of the DHT. The node has bounds of its own, which end idle streams
// for newcomers; libp2p's resource manager only refuses. So the node's come first.
const (
	// streamsPerConnection is how many streams the node admits for each connection
	// up to limits.connections_high. Clients keep one or two.
	streamsPerConnection = 8
	// streamWindow is what yamux reserves of libp2p's memory for each stream, in
	// bytes (go-yamux, initialStreamWindow).
	streamWindow = 256 << 10
	// otherStreams is what is left to other protocols, identify and ping among them.
	otherStreams = 256
)

// maxInboundStreams returns how many DHT streams of peers the node admits: as many
// as connections_high needs, and no more than half of libp2p's memory holds.
func maxInboundStreams(l config.Limits) int {
	memory := int64(scaledLimits(l).ToPartialLimitConfig().System.Memory)
	return max(1, min(streamsPerConnection*l.ConnectionsHigh, int(memory/2/streamWindow)))
}

// newResources bounds what libp2p uses.
func newResources(c hostConfig) (network.ResourceManager, error) {
	var options []rcmgr.Option
	if c.registry == nil {
		options = append(options, rcmgr.WithMetricsDisabled())
	}
	r, err := rcmgr.NewResourceManager(newLimiter(c.protocol, c.limits), options...)
	if err != nil {
		return nil, fmt.Errorf("resource limits: %w", err)
	}
	return r, nil
}

// scaledLimits are the defaults of libp2p, scaled to the memory given or to an
// eighth of the machine's.
func scaledLimits(l config.Limits) rcmgr.ConcreteLimitConfig {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	if l.Memory == 0 {
		return scaling.AutoScale()
	}
	// Scaling adds to a base of 128 MiB; what is asked for is the sum.
	return rcmgr.PartialLimitConfig{System: rcmgr.ResourceLimits{Memory: rcmgr.LimitVal64(l.Memory)}}.
		Build(scaling.Scale(int64(l.Memory), descriptors()))
}

// newLimiter returns the limits of libp2p for a node of the protocol. They never
// refuse a connection that the connection manager is told to keep, nor a stream
// that the node would admit: on small machines the scaled defaults would.
func newLimiter(p protocol.ID, l config.Limits) rcmgr.Limiter {
	limits := scaledLimits(l)
	scaled := limits.ToPartialLimitConfig()
	streams := maxInboundStreams(l)
	streams += streams/4 + 1 // some have been ended and are not gone yet
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
// connections, of the DHT's protocol and of the node as a whole. A single peer has
// those of the start.
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
