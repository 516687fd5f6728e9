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

// ownHeaders are the headers that a client itself sends, besides Sec-Fetch-* and
// Sec-Ch-*. Any other header may come from a proxy. No list could name all headers of
// proxies, so a request with any other header is treated as forwarded.
var ownHeaders = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Accept-Charset": true, "Cache-Control": true,
	"Connection": true, "Content-Length": true, "Content-Type": true, "Dnt": true, "If-Modified-Since": true,
	"If-None-Match": true, "Keep-Alive": true, "Origin": true, "Pragma": true, "Priority": true, "Referer": true,
	"Sec-Gpc": true, "Te": true, "Upgrade-Insecure-Requests": true, "User-Agent": true, "X-Requested-With": true,
}

// askerScope returns the scope of the client: the scope of the remote address if the
// request comes directly from it, otherwise public. A request is not direct if there is a
// sign of a proxy (a header, or HTTP/1.0, which proxies use and clients do not), of a
// page of another origin, or of a page under a name that resolves to this machine (DNS
// rebinding). A proxy without any sign looks like a client on its own machine, which is
// why Options.PrivateAddresses is off by default.
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

// passedOn reports whether there is a header that clients themselves do not send.
func passedOn(h http.Header) bool {
	for name := range h {
		if !ownHeaders[name] && !strings.HasPrefix(name, "Sec-Fetch-") && !strings.HasPrefix(name, "Sec-Ch-") {
			return true
		}
	}
	return false
}

// foreignPage reports whether a page of another origin sent the request.
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

// hostIsInside reports whether the request's host is a private or loopback IP address. A
// name may belong to anyone, and a public address may be that of a proxy.
func hostIsInside(host string) bool {
	ip, ok := httphost.Addr(host)
	if !ok {
		return false
	}
	a, err := manet.FromIP(ip.Unmap().WithZone("").AsSlice())
	return err == nil && rpc.ScopeOf(a) != wire.ScopePublic
}

// fitting returns the addresses that the client may get.
func fitting(ctx context.Context, addrs []ma.Multiaddr) []ma.Multiaddr {
	return rpc.FilterAddrs(nil, addrs, answerOf(ctx).scope)
}
