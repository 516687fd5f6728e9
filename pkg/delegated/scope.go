package delegated

import (
	"context"
	"net/http"
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// askerKey is where the context of a request has the address of who asks.
type askerKey struct{}

// elsewhere are the headers of requests that somebody beyond the remote end of the
// connection has made: a page of another origin, a client behind a proxy.
var elsewhere = [...]string{"Origin", "Forwarded", "X-Forwarded-For", "Via"}

// withAsker notes who asks: the remote end of the connection, unknown if that only
// passes the request on.
func withAsker(r *http.Request) *http.Request {
	for _, h := range elsewhere {
		if r.Header.Get(h) != "" {
			return r
		}
	}
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r
	}
	a, err := manet.FromIP(remote.Addr().Unmap().AsSlice())
	if err != nil {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), askerKey{}, a))
}

// fitting returns the addresses that who asks may be told: public ones only if it is
// unknown. It is the rule for peers of the DHT.
func fitting(ctx context.Context, addrs []ma.Multiaddr) []ma.Multiaddr {
	asker, _ := ctx.Value(askerKey{}).(ma.Multiaddr)
	return rpc.FilterAddrs(nil, addrs, rpc.ScopeOf(asker))
}
