package statuspage

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
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

//go:embed page.html
var page []byte

// policy lets the page run its own script and style and read from this listener, and
// nothing else. Data from peers can do no harm, even if the page has a bug.
var policy = "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"img-src data:; style-src 'unsafe-inline'; script-src 'sha256-" + scriptHash() + "'"

var script = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// scriptHash is the hash of the page's only script (CSP level 2, 4.2.5).
func scriptHash() string {
	sum := sha256.Sum256(script.FindSubmatch(page)[1])
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Source returns an overview of the node.
type Source func(context.Context) (api.Overview, error)

// Register adds the page and its data to a listener.
func Register(mux *http.ServeMux, source Source) {
	c := &cache{source: source}
	mux.HandleFunc("GET /{$}", servePage)
	mux.HandleFunc("GET /status.json", c.serve)
}

func servePage(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	secure(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	_, _ = w.Write(page) // it fails only if the client has disconnected
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

// mask removes the node's ID and addresses from an overview. The rest is also in the
// metrics.
func mask(o api.Overview) api.Overview {
	o.Identity = api.Identity{Addrs: []string{}, Agent: o.Identity.Agent, Protocol: o.Identity.Protocol}
	o.Status.PeerID = ""
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
