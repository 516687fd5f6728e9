package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The keys that applyPort reconciles.
const (
	portKey   = "network.port"
	listenKey = "network.listen"
)

// DefaultPort is the port of the default listen addresses. IPFS nodes use 4001 and may run
// on the same machine.
const DefaultPort = 4011

// maxPort is the highest port of TCP and UDP.
const maxPort = 65535

// applyPort sets the port of the listen addresses to network.port. The key from
// the later source wins. If one source sets both to values other than the defaults,
// they must agree; but --port applies to the addresses of --listen.
func (l *Loaded) applyPort() Violations {
	n, byDefault := &l.Config.Network, Default().Network
	if l.unread[portKey] || l.unread[listenKey] {
		l.unread[listenKey] = true // its ports are not known
		return nil
	}
	port, listen := l.Origin(portKey), l.Origin(listenKey)
	if n.Port < 0 || n.Port > maxPort {
		return nil // Validate reports it
	}
	with := withPort(n.Listen, n.Port)
	switch later := precedence(port) - precedence(listen); {
	case slices.Equal(with, n.Listen):
	case later < 0: // the port has no effect; with the default one, what Print returns loads
		n.Port, l.origins[portKey] = byDefault.Port, listen
	case later > 0 || port.Source == "flag" || slices.Equal(n.Listen, byDefault.Listen):
		n.Listen, l.origins[listenKey] = with, port
	case n.Port != byDefault.Port:
		return Violations{{
			Key: portKey, What: is(n.Port), Origin: port,
			Detail: fmt.Sprintf("%s has %s: remove one of the two keys, or write the same port in both", listenKey, firstChange(n.Listen, with)),
		}}
	}
	return nil
}

// precedence returns the rank of a source: a later source has a higher one.
func precedence(o Origin) int { return slices.Index([]string{"", "file", "env", "flag"}, o.Source) }

// withPort returns the addresses with another port. It leaves text that is not an address
// of TCP or UDP unchanged, so that the check of addresses reports it.
func withPort(listen []string, port int) []string {
	out := make([]string, len(listen))
	for i, text := range listen {
		parts := strings.Split(text, "/")
		for j, p := range parts[:len(parts)-1] {
			if p == "tcp" || p == "udp" {
				parts[j+1] = strconv.Itoa(port)
			}
		}
		out[i] = strings.Join(parts, "/")
	}
	return out
}

// firstChange returns the first item of before that differs in after.
func firstChange(before, after []string) string {
	for i := range before {
		if before[i] != after[i] {
			return before[i]
		}
	}
	return ""
}
