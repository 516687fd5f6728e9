package daemon

import (
	"fmt"
	"io"
	"slices"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// hostConfig configures a libp2p host.
type hostConfig struct {
	key      crypto.PrivKey
	listen   []ma.Multiaddr // empty: only dials
	announce []string
	security []string    // by name, the preferred one first
	protocol protocol.ID // of the DHT
	limits   config.Limits
	mapPort  bool                  // ask the router for a port mapping
	holes    *blackHoles           // nil: libp2p's own
	registry prometheus.Registerer // nil: no metrics of libp2p
	gate     *rpc.Gate             // the node's
	blocked  *blocked              // counts what the resource manager refuses; nil: it is not counted
	crowded  *crowded              // counts what the limits per address refuse; nil: it is not counted
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
		err = fmt.Errorf("libp2p: %w", err)
		return nil, err
	}
	return h, nil
}

// closeUnlessUsed closes c if no host has taken it over.
func closeUnlessUsed(err *error, c io.Closer) {
	if *err != nil {
		c.Close()
	}
}

// securities are the security protocols by their names in the configuration.
var securities = map[string]libp2p.Option{
	"noise": libp2p.Security(noise.ID, noise.New),
	"tls":   libp2p.Security(tls.ID, tls.New),
}

func (c *hostConfig) options() ([]libp2p.Option, error) {
	options := []libp2p.Option{
		libp2p.Identity(c.key),
		libp2p.UserAgent(Agent()),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Transport(quic.NewTransport),
		libp2p.DisableRelay(), // servers are reached directly, and clients connect themselves
		libp2p.ConnectionGater(c.gate),
		libp2p.MultiaddrResolver(c.gate),
	}
	for _, name := range c.security {
		options = append(options, securities[name])
	}
	if c.registry == nil {
		options = append(options, libp2p.DisableMetrics())
	} else {
		options = append(options, libp2p.PrometheusRegisterer(c.registry))
	}
	if c.holes != nil {
		options = append(options, libp2p.UDPBlackHoleSuccessCounter(c.holes.udp), libp2p.IPv6BlackHoleSuccessCounter(c.holes.ipv6))
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

// fullAddrs appends /p2p/<peer ID> to each address.
func fullAddrs(id peer.ID, addrs []ma.Multiaddr) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String() + "/p2p/" + id.String()
	}
	return out
}

// addrRank ranks the addresses that most peers can dial first: IPv4 before IPv6, TCP
// before QUIC.
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

// listenAddrs returns the full addresses that the host announces: the announce addresses
// if there are any, otherwise the addresses it listens on.
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
