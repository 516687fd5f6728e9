package daemon

import (
	"fmt"
	"net"
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// listener is one socket of the configuration.
type listener struct {
	key, text string // the key, and its text
	network   string // "tcp" or "udp"
	addr      netip.Addr
	port      string
	dual      bool // an unspecified address of either family listens on both
}

// listeners returns the listeners of the configuration that can be compared. It skips
// host names and addresses that are invalid for another reason.
func listeners(c *config.Config) []listener {
	var all []listener
	for _, text := range c.Network.Listen {
		if checkListen(text) != nil {
			continue
		}
		network, hostport, err := manet.DialArgs(head(ma.StringCast(text)))
		if err != nil {
			continue
		}
		all = appendListener(all, listener{key: "network.listen", text: text, network: network[:len("tcp")]}, hostport)
	}
	// net.Listen listens on both families for an unspecified address of either.
	for _, l := range []listener{
		{key: "metrics.listen", text: c.Metrics.Listen, network: "tcp", dual: true},
		{key: "routing_api.listen", text: c.RoutingAPI.Listen, network: "tcp", dual: true},
	} {
		if l.text != config.Off {
			all = appendListener(all, l, l.text)
		}
	}
	return all
}

func appendListener(all []listener, l listener, hostport string) []listener {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return all
	}
	switch host {
	case "":
		l.addr = netip.IPv6Unspecified()
	case "localhost":
		l.addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		if l.addr, err = netip.ParseAddr(host); err != nil {
			return all
		}
	}
	l.port = port
	return append(all, l)
}

// takes reports whether l listens on the address of the other listener too.
func (l *listener) takes(other *listener) bool {
	switch {
	case l.network != other.network || l.port != other.port || l.port == "0":
		return false
	case l.addr.IsUnspecified():
		return l.dual || l.addr.Is4() == other.addr.Is4() || other.dual && other.addr.IsUnspecified()
	}
	return l.addr == other.addr
}

// checkListeners returns the violations of listeners that need the same address.
func checkListeners(c *config.Config) config.Violations {
	var found config.Violations
	all := listeners(c)
	for i := range all {
		for j := range i {
			if l, other := &all[i], &all[j]; l.takes(other) || other.takes(l) {
				found = append(found, config.Violation{
					Key:    l.key,
					What:   fmt.Sprintf("has %s, which overlaps with %s of %s", l.text, other.text, other.key),
					Detail: "give each its own address or port",
					Others: []string{other.key},
				})
			}
		}
	}
	return found
}
