package delegated

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/ipfs/boxo/routing/http/server"
	"github.com/prometheus/client_golang/prometheus"
	recorder "github.com/slok/go-http-metrics/metrics/prometheus"
	"github.com/slok/go-http-metrics/middleware"
	"github.com/slok/go-http-metrics/middleware/std"
)

// Bounds of the HTTP API. All are per listener; for bounds per client, put a proxy in
// front.
const (
	// maxRequests bounds the requests in progress; further ones get 503. Each takes one or
	// two of the 256 queries that a node runs at once.
	maxRequests = 64
	// maxRecords bounds the records of a JSON answer (boxo's default: 20). A streamed
	// answer has all that the lookup finds, up to dht.MaxProviderBytes.
	maxRecords = 100
	// lookupTimeout bounds one lookup. Clients time out after 30 s and must have the
	// answer before that.
	lookupTimeout = 25 * time.Second
	// maxBody bounds the body of a PUT in bytes: IPNS records have at most 10 KiB.
	maxBody = 16 << 10
)

// Options configure a Handler. Zero fields take their default.
type Options struct {
	// PrivateAddresses returns private and loopback addresses to clients that connect from
	// such an address, directly. Default: no client gets any.
	PrivateAddresses bool
	// Log gets the failures that neither the client nor the network caused. Default:
	// discarded.
	Log *slog.Logger
}

const (
	readMethods  = "GET, HEAD, OPTIONS"
	storeMethods = readMethods + ", PUT"
)

// endpoints are the served paths, with the name in the metrics (boxo's names), the
// methods and the usual type of an answer. Announcing for others is not offered, see the
// package comment.
var endpoints = []struct{ path, name, methods, accept string }{
	{"/routing/v1/providers/{cid}", "/routing/v1/providers/{cid}", readMethods, typeJSON},
	{"/routing/v1/peers/{id}", "/routing/v1/peers/{peer-id}", readMethods, typeJSON},
	{"/routing/v1/dht/closest/peers/{key}", "/routing/v1/dht/closest/peers/{key}", readMethods, typeJSON},
	{"/routing/v1/ipns/{name}", "/routing/v1/ipns/{cid}", storeMethods, typeIPNS},
}

// Handler serves /routing/v1 from a node. Metrics of its requests go to registry.
func Handler(n Node, registry prometheus.Registerer, o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	api := server.Handler(router{n},
		server.WithRecordsLimit(maxRecords), server.WithStreamingRecordsLimit(0),
		server.WithRoutingTimeout(lookupTimeout), server.WithPrometheusRegistry(prometheus.NewRegistry()))
	count := middleware.New(middleware.Config{Recorder: recorder.NewRecorder(recorder.Config{
		Registry: registry, Prefix: "delegated_routing_server",
		SizeBuckets:     prometheus.ExponentialBuckets(100, 4, 8),
		DurationBuckets: []float64{0.1, 0.5, 1, 2, 5, 8, 10, 20, 30},
	})})
	slots := make(chan struct{}, maxRequests)
	mux := http.NewServeMux()
	for _, e := range endpoints {
		// Requests are counted here and not by boxo, which does not see the status that is
		// sent. Only the offered methods are counted, because each method has its own
		// series.
		counted := std.Handler(e.name, count, &endpoint{next: api, options: o, methods: e.methods, accept: e.accept, slots: slots})
		for _, method := range strings.Split(e.methods, ", ") {
			mux.Handle(method+" "+e.path, counted)
		}
		mux.HandleFunc(e.path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", e.methods)
			refuse(w, http.StatusMethodNotAllowed, "the methods of this path are "+e.methods)
		})
	}
	mux.HandleFunc("PUT /routing/v1/providers/{$}", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotImplemented, "announcing content for clients is not offered")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		allowReading(w.Header())
		refuse(w, http.StatusNotFound, "no such path; this is /routing/v1: providers/CID, peers/PEER, dht/closest/peers/KEY, ipns/NAME")
	})
	return mux
}

// endpoint serves one path.
type endpoint struct {
	next            http.Handler
	options         Options
	methods, accept string
	slots           chan struct{} // one for each request in progress
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin") // the addresses in the answer depend on it
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	if reading {
		allowReading(h)
	}
	if r.Method == http.MethodOptions {
		preflight(h, e.methods)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	kind := e.accept
	if reading {
		if kind = chooseType(r.Header.Values("Accept"), e.accept); kind == "" {
			refuse(w, http.StatusNotAcceptable, "no type in Accept is offered here; "+e.accept+" is")
			return
		}
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	default:
		h.Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "too many requests in progress")
		return
	}
	e.serve(w, r, kind)
}

// serve has boxo's server answer a request in one type.
func (e *endpoint) serve(w http.ResponseWriter, r *http.Request, kind string) {
	a := &answer{ResponseWriter: w, head: r.Method == http.MethodHead, log: e.options.Log}
	if e.options.PrivateAddresses && e.accept == typeJSON {
		a.scope = askerScope(r)
	}
	r = r.Clone(withAnswer(r.Context(), a))
	r.Header.Set("Accept", kind)
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if a.head {
		r.Method = http.MethodGet
	}
	e.next.ServeHTTP(a, r)
	a.end()
}

// allowReading lets pages of any origin read an answer, as the specification requires. An
// answer contains nothing that the public DHT would not return to anyone.
func allowReading(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Etag, Expires, Retry-After")
}

// preflight answers a preflight request: pages of other origins may read, not store.
func preflight(h http.Header, methods string) {
	allowReading(h)
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Accept, Cache-Control, Content-Type, If-Modified-Since, If-None-Match, User-Agent, X-Requested-With")
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Allow", methods)
}

// refuse answers with an error that must not be cached.
func refuse(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, code)
}
