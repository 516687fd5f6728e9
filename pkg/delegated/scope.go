package delegated

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/holdfast-dht/holdfast/internal/httphost"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// ownHeaders are those that a client sends by itself, beside Sec-Fetch-* and
// Sec-Ch-*. Any other may be a proxy's, of which there are more than a list could
// name: a request that has one is taken for one that somebody has passed on.
var ownHeaders = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Accept-Charset": true, "Cache-Control": true,
	"Connection": true, "Content-Length": true, "Content-Type": true, "Dnt": true, "If-Modified-Since": true,
	"If-None-Match": true, "Keep-Alive": true, "Origin": true, "Pragma": true, "Priority": true, "Referer": true,
	"Sec-Gpc": true, "Te": true, "Upgrade-Insecure-Requests": true, "User-Agent": true, "X-Requested-With": true,
}

// askerScope returns the scope of who asks: that of the remote end of the connection
// if it asks for itself, else public. It does not if there is a sign of a proxy (a
// header, or HTTP/1.0, which proxies speak and clients do not), of a page of another
// origin, or of one under a name that leads here (DNS rebinding). A proxy that gives
// no sign looks like a client of its machine: that is why Options has a switch.
func askerScope(r *http.Request) wire.Scope {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !r.ProtoAtLeast(1, 1) || passedOn(r.Header) || foreignPage(r) || !hostIsInside(r.Host) {
		return wire.ScopePublic
	}
	a, err := manet.FromIP(remote.Addr().Unmap().AsSlice())
	if err != nil {
		return wire.ScopePublic
	}
	return rpc.ScopeOf(a)
}

// passedOn reports whether there is a header that no client sends by itself.
func passedOn(h http.Header) bool {
	for name := range h {
		if !ownHeaders[name] && !strings.HasPrefix(name, "Sec-Fetch-") && !strings.HasPrefix(name, "Sec-Ch-") {
			return true
		}
	}
	return false
}

// foreignPage reports whether a page of another origin has made the request.
func foreignPage(r *http.Request) bool {
	if o, ok := r.Header["Origin"]; ok && (len(o) != 1 || o[0] != "http://"+r.Host) {
		return true
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return true
}

// hostIsInside reports whether a request is for an IP address, and one of the inside:
// a name may be anybody's, and a public address is what a proxy is asked for.
func hostIsInside(host string) bool {
	ip, ok := httphost.Addr(host)
	if !ok {
		return false
	}
	a, err := manet.FromIP(ip.Unmap().WithZone("").AsSlice())
	return err == nil && rpc.ScopeOf(a) != wire.ScopePublic
}

// fitting returns the addresses that who asks may be told.
func fitting(ctx context.Context, addrs []ma.Multiaddr) []ma.Multiaddr {
	return rpc.FilterAddrs(nil, addrs, answerOf(ctx).scope)
}
