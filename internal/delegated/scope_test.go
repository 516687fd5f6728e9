package delegated

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

const (
	loopback = "127.0.0.1:50000" // a client on this machine
	listener = "127.0.0.1:8474"  // the Host of its request
)

// browserHeader is what a browser sends when the user types the address.
var browserHeader = map[string]string{"User-Agent": "Mozilla", "Accept-Language": "de", "Accept-Encoding": "gzip", "Sec-Fetch-Mode": "cors", "Sec-Ch-Ua": "x"}

// clients are requests for a peer with a loopback, a private and a public address, and how
// many of these addresses the client gets.
var clients = map[string]struct {
	remote, host string
	header       map[string]string
	want         int
}{
	"this machine":                 {loopback, listener, nil, 3},
	"a browser's address bar":      {loopback, listener, browserHeader, 3},
	"a page of this origin":        {loopback, listener, map[string]string{"Origin": "http://127.0.0.1:8474", "Sec-Fetch-Site": "same-origin"}, 3},
	"our network":                  {"192.168.1.7:5", "192.168.1.1:8474", nil, 2},
	"IPv6":                         {"[::1]:5", "[::1]:8474", nil, 3},
	"IPv4 within IPv6":             {"[::ffff:192.168.1.7]:5", "192.168.1.1", nil, 2},
	"a stranger":                   {"8.8.4.4:5", "127.0.0.1:8474", nil, 1},
	"a stranger through NAT64":     {"[64:ff9b::808:404]:5", listener, nil, 1},
	"no address":                   {"", listener, nil, 1},
	"a unix address":               {"@", listener, nil, 1},
	"a page of another origin":     {loopback, listener, map[string]string{"Origin": "https://example.com"}, 1},
	"a page of another port":       {loopback, listener, map[string]string{"Origin": "http://127.0.0.1:9474"}, 1},
	"a page of a file":             {loopback, listener, map[string]string{"Origin": "null"}, 1},
	"an image of another page":     {loopback, listener, map[string]string{"Sec-Fetch-Site": "cross-site"}, 1},
	"DNS rebinding":                {loopback, "evil.example:8474", map[string]string{"Sec-Fetch-Site": "same-origin", "Referer": "http://evil.example:8474/"}, 1},
	"a name for this machine":      {loopback, "localhost:8474", nil, 1},
	"a name that looks like an IP": {loopback, "127.0.0.1.nip.io:8474", nil, 1},
	"a proxy that keeps the Host":  {loopback, "routing.example", nil, 1},
	"one that is asked by IP":      {loopback, "8.8.8.8", nil, 1},
	"no Host":                      {loopback, "", nil, 1},
	"X-Forwarded-For":              {loopback, listener, map[string]string{"X-Forwarded-For": "203.0.113.9"}, 1},
	"X-Forwarded-Proto":            {loopback, listener, map[string]string{"X-Forwarded-Proto": "https"}, 1},
	"Forwarded":                    {loopback, listener, map[string]string{"Forwarded": "for=203.0.113.9"}, 1},
	"an empty Forwarded":           {loopback, listener, map[string]string{"Forwarded": ""}, 1},
	"Via":                          {loopback, listener, map[string]string{"Via": "1.1 varnish"}, 1},
	"X-Real-IP":                    {loopback, listener, map[string]string{"X-Real-Ip": "203.0.113.9"}, 1},
	"Cloudflare":                   {loopback, listener, map[string]string{"Cf-Connecting-Ip": "203.0.113.9"}, 1},
	"Akamai":                       {loopback, listener, map[string]string{"True-Client-Ip": "203.0.113.9"}, 1},
	"Fastly":                       {loopback, listener, map[string]string{"Fastly-Client-Ip": "203.0.113.9"}, 1},
	"Envoy":                        {loopback, listener, map[string]string{"X-Envoy-External-Address": "203.0.113.9"}, 1},
	"Amazon":                       {loopback, listener, map[string]string{"X-Amzn-Trace-Id": "Root=1"}, 1},
	"a proxy nobody has heard of":  {loopback, listener, map[string]string{"X-My-Proxy": "1"}, 1},
}

// Only clients that connect from a private address, directly, by IP address and not from
// a page of another origin get private addresses, and only if the option is on.
func TestPrivateAddresses(t *testing.T) {
	_, p := newPeer(t)
	p.Addrs = []ma.Multiaddr{
		ma.StringCast("/ip4/127.0.0.1/tcp/1"), ma.StringCast("/ip4/192.168.1.2/tcp/1"), ma.StringCast("/ip4/8.8.8.8/tcp/1"),
	}
	n := &network{providers: []peer.AddrInfo{p}}
	on := Handler(n, prometheus.NewRegistry(), Options{PrivateAddresses: true})
	off := Handler(n, prometheus.NewRegistry(), Options{})
	for what, c := range clients {
		for _, path := range []string{"providers/" + someCID(t, "x").String(), "peers/" + peer.ToCid(p.ID).String(), "dht/closest/peers/" + someCID(t, "x").String()} {
			for _, accept := range []string{typeJSON, typeNDJSON} {
				r := httptest.NewRequest(http.MethodGet, "/routing/v1/"+path, nil)
				r.RemoteAddr, r.Host = c.remote, c.host
				r.Header.Set("Accept", accept)
				for k, v := range c.header {
					r.Header.Set(k, v)
				}
				cache := "public, max-age=300"
				if c.want > 1 {
					cache = "private, max-age=300"
				}
				requireAddresses(t, on, r, c.want, cache, what)
				requireAddresses(t, off, r, 1, "public, max-age=300", what)
			}
		}
	}
}

// requireAddresses fails unless the answer to r has a number of addresses and may be cached
// as given.
func requireAddresses(t *testing.T, h http.Handler, r *http.Request, want int, cache, what string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Contains(t, w.Header().Values("Vary"), "Origin")
	require.Contains(t, w.Header().Values("Vary"), "Accept")
	require.Equal(t, want, strings.Count(w.Body.String(), "/tcp/1"), "%s %s: %s", what, r.URL.Path, w.Body)
	require.True(t, strings.HasPrefix(w.Header().Get("Cache-Control"), cache), "%s: %s", what, w.Header())
}

// nginx sends HTTP/1.0 by default, and may add no header.
func TestAProxyThatSpeaksHTTP10(t *testing.T) {
	_, p := newPeer(t)
	p.Addrs = []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1"), ma.StringCast("/ip4/8.8.8.8/tcp/1")}
	h := Handler(&network{providers: []peer.AddrInfo{p}}, prometheus.NewRegistry(), Options{PrivateAddresses: true})
	r := httptest.NewRequest(http.MethodGet, "/routing/v1/peers/"+peer.ToCid(p.ID).String(), nil)
	r.RemoteAddr, r.Host = "127.0.0.1:5", "127.0.0.1:8474"
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0
	r.Header.Set("Connection", "close")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 1, strings.Count(w.Body.String(), "/tcp/1"), w.Body)
}
