package statuspage

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/httphost"
)

const (
	// fresh is how long an overview is cached for all clients.
	fresh = time.Second
	// patience is how long the node may take to make one.
	patience = 5 * time.Second
)

// Source returns an overview of the node.
type Source func(context.Context) (api.Overview, error)

// Register adds the page, its data and the pages of queries to a listener.
func Register(mux *http.ServeMux, source Source, traces Traces) {
	c := &cache{source: source}
	mux.HandleFunc("GET /{$}", servePage)
	mux.HandleFunc("GET /status.json", c.serve)
	mux.HandleFunc("GET /explain/{id}", traces.serveExplain)
}

func secure(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
}

// cache holds the last overview.
type cache struct {
	source Source

	mu     sync.Mutex // held while the node is asked: other requests wait for the same answer
	body   []byte
	masked []byte // shown to requests for a host name
	taken  time.Time
}

func (c *cache) serve(w http.ResponseWriter, r *http.Request) {
	body, masked, err := c.get()
	secure(w.Header())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if underName(r.Host) {
		body = masked
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// underName reports whether the request's host is a name that anyone may own. A page
// under that name can read the answer (DNS rebinding). localhost is safe, because
// browsers do not resolve it by DNS.
func underName(host string) bool {
	_, isAddr := httphost.Addr(host)
	return !isAddr && !strings.EqualFold(httphost.Name(host), "localhost")
}

// mask removes from an overview what may name a peer, an address, a key or a path. The
// rest is also in the metrics.
func mask(o api.Overview) api.Overview {
	o.Identity = api.Identity{Addrs: []string{}, Agent: o.Identity.Agent, Protocol: o.Identity.Protocol}
	o.Status.PeerID, o.Status.DataDir, o.Status.MetricsAddr, o.Status.RoutingAddr = "", "", "", ""
	o.Republish.LastErrors, o.Republish.Ended = nil, nil
	o.Config.File, o.Config.ReloadError = "", ""
	o.Bootstrap, o.Warnings, o.RecentLookups = []api.BootstrapPeer{}, []api.Warning{}, []api.RecentLookup{}
	o.Masked = true
	return o
}

// get returns the cached overview, or a new one if the cache is stale. It does not stop
// when its client disconnects, because other requests may wait for the same overview.
func (c *cache) get() (body, masked []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.body != nil && time.Since(c.taken) < fresh {
		return c.body, c.masked, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o, err := c.source(ctx)
	if err != nil {
		return nil, nil, err
	}
	if body, err = json.Marshal(o); err != nil {
		return nil, nil, err
	}
	if masked, err = json.Marshal(mask(o)); err != nil {
		return nil, nil, err
	}
	c.body, c.masked, c.taken = body, masked, time.Now()
	return body, masked, nil
}
