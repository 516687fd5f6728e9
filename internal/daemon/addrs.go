package daemon

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/holdfast-dht/holdfast/internal/config"
)

var (
	// ErrAddr is returned for text that is not a usable multiaddr.
	ErrAddr = errors.New("bad address")
	// ErrPortTaken is returned when another socket listens on the address.
	ErrPortTaken = errors.New("port taken")
	// ErrNoListener is returned when the node cannot listen on any of the addresses.
	ErrNoListener = errors.New("no address to listen on")
)

// ParseBootstrap parses full multiaddrs, with /p2p/<peer ID>, and merges those of the
// same peer. The error names each bad one.
func ParseBootstrap(addrs []string) ([]peer.AddrInfo, error) {
	var all []ma.Multiaddr
	var errs []error
	for _, text := range addrs {
		if err := checkBootstrap(text); err != nil {
			errs = append(errs, addrError(err))
			continue
		}
		all = append(all, ma.StringCast(text))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	infos, err := peer.AddrInfosFromP2pAddrs(all...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddr, err)
	}
	return inOrder(infos, all), nil
}

// inOrder sorts infos, which come from a map, in the order of the given addresses.
func inOrder(infos []peer.AddrInfo, addrs []ma.Multiaddr) []peer.AddrInfo {
	byID := make(map[peer.ID]peer.AddrInfo, len(infos))
	for _, ai := range infos {
		byID[ai.ID] = ai
	}
	sorted := infos[:0]
	for _, a := range addrs {
		_, id := peer.SplitAddr(a)
		if ai, ok := byID[id]; ok {
			sorted = append(sorted, ai)
			delete(byID, id)
		}
	}
	return sorted
}

func addrError(err *config.ValueError) error { return fmt.Errorf("%w: %w", ErrAddr, err) }

func checkBootstrap(text string) *config.ValueError {
	a, err := readAddr(text, "/ip4/192.0.2.1/tcp/4011/p2p/<peer ID>")
	if err != nil {
		return err
	}
	rest, id := peer.SplitAddr(a)
	switch {
	case id == "":
		return &config.ValueError{Value: text, Problem: "has no peer ID", Advice: "append /p2p/<peer ID>"}
	case rest == nil:
		return &config.ValueError{Value: text, Problem: "is a peer ID without an address", Advice: "put for instance /ip4/192.0.2.1/tcp/4011 before it"}
	}
	return nil
}

// cause removes the address from the start of multiaddr's errors.
func cause(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, `": `); i >= 0 {
		return text[i+3:]
	}
	return text
}

// Check returns the violations that config.Validate cannot find: addresses that libp2p
// does not accept, and listeners that overlap.
func Check(c *config.Config) config.Violations {
	var found config.Violations
	each := func(key string, list []string, check func(string) *config.ValueError) {
		for _, text := range list {
			if err := check(text); err != nil {
				found = append(found, err.Violation(key, "has"))
			}
		}
	}
	each("network.listen", c.Network.Listen, checkListen)
	each("network.announce", c.Network.Announce, checkAnnounce)
	each("network.bootstrap", c.Network.Bootstrap, checkBootstrap)
	return append(found, checkListeners(c)...)
}

// localAddr is an example of an address of this machine.
const localAddr = "/ip4/0.0.0.0/tcp/4011"

func parseAddr(text string) (ma.Multiaddr, error) {
	a, err := readAddr(text, localAddr)
	if err != nil {
		return nil, addrError(err)
	}
	return a, nil
}

// readAddr parses a multiaddr. The error shows an example of one.
func readAddr(text, example string) (ma.Multiaddr, *config.ValueError) {
	a, err := ma.NewMultiaddr(text)
	if err != nil {
		return nil, &config.ValueError{Value: text, Problem: "is not a multiaddr (" + cause(err) + ")", Advice: "write for instance " + example}
	}
	return a, nil
}

func checkAnnounce(text string) *config.ValueError {
	_, err := readAddr(text, localAddr)
	return err
}

func checkListen(text string) *config.ValueError {
	a, err := readAddr(text, localAddr)
	if err == nil && !served(a) {
		return &config.ValueError{
			Value: text, Problem: "is neither plain TCP nor QUIC",
			Advice: "this node supports no other transport; write /ip4/ADDRESS/tcp/PORT or /ip4/ADDRESS/udp/PORT/quic-v1",
		}
	}
	return err
}

// served reports whether a transport of newHost listens on exactly this address.
func served(a ma.Multiaddr) bool {
	if len(a) < 2 || !manet.IsThinWaist(head(a)) {
		return false
	}
	rest := a[1:]
	return len(rest) == 1 && rest[0].Code() == ma.P_TCP ||
		len(rest) == 2 && rest[0].Code() == ma.P_UDP && rest[1].Code() == ma.P_QUIC_V1
}

func hasProtocol(a ma.Multiaddr, code int) bool {
	_, err := a.ValueForProtocol(code)
	return err == nil
}

// head returns the first two components: address and port.
func head(a ma.Multiaddr) ma.Multiaddr {
	if len(a) > 2 {
		return a[:2]
	}
	return a
}

// listenable briefly listens on each address and returns those that this machine has.
// libp2p alone would start with some of them, and over TCP even if another process of the
// same user listens there (it sets SO_REUSEPORT).
func listenable(listen []string) (usable []ma.Multiaddr, skipped []error, err error) {
	for _, text := range listen {
		a, err := parseAddr(text)
		if err != nil {
			return nil, nil, err
		}
		switch err := tryListen(head(a)); {
		case err == nil:
			usable = append(usable, a)
		case errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL):
			skipped = append(skipped, fmt.Errorf("%s: %w", text, err))
		case errors.Is(err, syscall.EADDRINUSE):
			return nil, nil, fmt.Errorf("%w: another process listens on %s; stop it, or choose another port with --port or network.port", ErrPortTaken, text)
		default:
			return nil, nil, fmt.Errorf("listen on %s: %w", text, err)
		}
	}
	if len(usable) == 0 && len(listen) > 0 {
		return nil, nil, fmt.Errorf("%w: %w", ErrNoListener, errors.Join(skipped...))
	}
	return usable, skipped, nil
}

// onlyLoopback reports whether other machines cannot reach any of the addresses.
func onlyLoopback(addrs []ma.Multiaddr) bool {
	for _, a := range addrs {
		if !manet.IsIPLoopback(a) {
			return false
		}
	}
	return true
}

func tryListen(a ma.Multiaddr) error {
	network, address, err := manet.DialArgs(a)
	if err != nil {
		return err
	}
	if strings.HasPrefix(network, "udp") {
		c, err := net.ListenPacket(network, address)
		if err == nil {
			c.Close()
		}
		return err
	}
	l, err := net.Listen(network, address)
	if err == nil {
		l.Close()
	}
	return err
}
