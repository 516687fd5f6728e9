package daemon

import (
	"errors"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/holdfast-dht/holdfast/metrics"
)

// The limits per address bound the connections with one public IPv4 address or one IPv6
// network, so that one host cannot take the connections of all. libp2p's own bounds, eight
// connections and one new one every five seconds, keep out peers that share a NAT.
//
// The same number also bounds QUIC handshakes without a check of the source address, to
// half of it (rcmgr, newVerifySourceAddressRateLimiter). Above that a peer must answer from
// its address first, which costs it a round trip; none is refused.
const (
	bitsPerSite     = 56 // IPv6 network of a site, which counts as one address
	bitsPerProvider = 48
	sitesPerOne     = 8 // a /48 has the limits of so many sites

	// connectionBurst is how many times the limit may connect at once: each peer over TCP
	// and QUIC.
	connectionBurst = 2
	// connectionRefill is how long an address takes to open as many connections as the limit
	// after that: libp2p's own ratio, 8 in 40 seconds.
	connectionRefill = 40 * time.Second

	// crowdedEvery is how often refusals are logged, at most.
	crowdedEvery = 10 * time.Minute
)

// errAddressRate refuses a connection because too many were opened from its address within
// a short time.
var errAddressRate = errors.New("too many new connections from one address")

// Networks without limits per address. Their addresses are those of the operator's own
// machines, or of a NAT in front of the node, which has the address of every peer. The limits
// of the whole node apply.
var (
	unlimited4 = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8")
	unlimited6 = prefixes("fc00::/7", "fe80::/10", "::1/128")
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// limitPerAddress returns the options of a resource manager for n connections per address.
func limitPerAddress(n int) []rcmgr.Option {
	unlimited := func(networks []netip.Prefix) []rcmgr.NetworkPrefixLimit {
		out := make([]rcmgr.NetworkPrefixLimit, len(networks))
		for i, p := range networks {
			out[i] = rcmgr.NetworkPrefixLimit{Network: p, ConnCount: math.MaxInt}
		}
		return out
	}
	return []rcmgr.Option{
		rcmgr.WithConnRateLimiters(&rate.Limiter{}), // none: see addressLimits
		rcmgr.WithNetworkPrefixLimit(unlimited(unlimited4), unlimited(unlimited6)),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: n}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: bitsPerSite, ConnCount: n}, {PrefixLength: bitsPerProvider, ConnCount: sitesPerOne * n}},
		),
	}
}

// newConnectionRate returns the limit of new inbound connections for n connections per
// address.
func newConnectionRate(n int) *rate.Limiter {
	times := func(n int) rate.Limit {
		return rate.Limit{RPS: float64(n) / connectionRefill.Seconds(), Burst: connectionBurst * n}
	}
	r := &rate.Limiter{SubnetRateLimiter: rate.SubnetLimiter{
		IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: times(n)}},
		IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: bitsPerSite, Limit: times(n)}, {PrefixLength: bitsPerProvider, Limit: times(sitesPerOne * n)}},
		GracePeriod:      time.Minute,
	}}
	for _, p := range slices.Concat(unlimited4, unlimited6) {
		r.NetworkPrefixLimits = append(r.NetworkPrefixLimits, rate.PrefixLimit{Prefix: p}) // the zero limit is none
	}
	return r
}

// addressLimits is a resource manager that reports what its limits per address refuse. It
// limits the rate of new connections itself, and only that of inbound ones. Safe for
// concurrent use.
type addressLimits struct {
	network.ResourceManager
	rate    *rate.Limiter
	crowded *crowded // nil: refusals are not counted
}

// OpenConnection implements network.ResourceManager.
func (a *addressLimits) OpenConnection(dir network.Direction, usefd bool, remote ma.Multiaddr) (network.ConnManagementScope, error) {
	if dir == network.DirInbound && !a.inTime(remote) {
		a.crowded.tooFast(remote)
		return nil, errAddressRate
	}
	scope, err := a.ResourceManager.OpenConnection(dir, usefd, remote)
	if isPerAddress(err) {
		a.crowded.tooMany(remote)
	}
	return scope, err
}

func (a *addressLimits) inTime(remote ma.Multiaddr) bool {
	ip, err := manet.ToIP(remote)
	if err != nil {
		return true // no IP address
	}
	addr, _ := netip.AddrFromSlice(ip)
	return a.rate.Allow(addr)
}

// isPerAddress reports whether an error of OpenConnection is that of the limit per address.
// rcmgr has no type for it, but every other error of an open manager has one.
func isPerAddress(err error) bool {
	return err != nil && !errors.Is(err, network.ErrResourceLimitExceeded) && !errors.Is(err, network.ErrResourceScopeClosed)
}

// crowded counts the connections that the limits per address refuse, and logs them once in a
// while. Safe for concurrent use. A nil crowded does nothing.
type crowded struct {
	log    *slog.Logger
	most   int           // connections per address
	limit  atomic.Uint64 // refused: too many were open
	rate   atomic.Uint64 // refused: too many were new
	logged atomic.Int64  // when refusals were logged last, in Unix nanoseconds
}

func (c *crowded) tooMany(remote ma.Multiaddr) {
	if c != nil {
		c.limit.Add(1)
		c.warn(remote)
	}
}

func (c *crowded) tooFast(remote ma.Multiaddr) {
	if c != nil {
		c.rate.Add(1)
		c.warn(remote)
	}
}

func (c *crowded) warn(remote ma.Multiaddr) {
	now, last := time.Now().UnixNano(), c.logged.Load()
	if last != 0 && now-last < int64(crowdedEvery) || !c.logged.CompareAndSwap(last, now) {
		return
	}
	c.log.Warn("connections refused: too many with one address; if these peers share a NAT, raise limits.connections_per_address",
		"address", remote.String(), "limit", c.most, "refused_since_start", c.limit.Load()+c.rate.Load())
}

func (c *crowded) counts() metrics.RefusedConnections {
	return metrics.RefusedConnections{Limit: c.limit.Load(), Rate: c.rate.Load()}
}
