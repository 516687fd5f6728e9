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

// Bounds of the HTTP API. All of them are per listener: whoever needs them per
// client puts a proxy in front.
const (
	// MaxRequests bounds the requests in progress; more get 503. Each is a lookup
	// or two of the 256 that a node runs at once.
	MaxRequests = 64
	// MaxRecords bounds the records of a JSON answer (boxo's default: 20). A streamed
	// answer has all that the lookup finds, which dht.MaxProviderBytes bounds.
	MaxRecords = 100
	// LookupTimeout bounds one lookup. Clients give up after 30 s and must have the
	// answer before that.
	LookupTimeout = 25 * time.Second
	// maxBody bounds the body of a PUT in bytes: IPNS records have 10 KiB.
	maxBody = 16 << 10
)

// Options are what a Handler may be told. Zero fields take their default.
type Options struct {
	// PrivateAddresses tells private and loopback addresses to clients that ask from
	// such an address, directly. Default: nobody is told any.
	PrivateAddresses bool
	// Log gets what fails for no reason of the client's or the network's. Default:
	// discarded.
	Log *slog.Logger
}

const (
	readMethods  = "GET, HEAD, OPTIONS"
	storeMethods = readMethods + ", PUT"
)

// endpoints are what is served: the path, its name in the metrics (boxo's), the methods
// and the usual type of an answer. Announcing for others is left out: see the package.
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
		server.WithRecordsLimit(MaxRecords), server.WithStreamingRecordsLimit(0),
		server.WithRoutingTimeout(LookupTimeout), server.WithPrometheusRegistry(prometheus.NewRegistry()))
	count := middleware.New(middleware.Config{Recorder: recorder.NewRecorder(recorder.Config{
		Registry: registry, Prefix: "delegated_routing_server",
		SizeBuckets:     prometheus.ExponentialBuckets(100, 4, 8),
		DurationBuckets: []float64{0.1, 0.5, 1, 2, 5, 8, 10, 20, 30},
	})})
	slots := make(chan struct{}, MaxRequests)
	mux := http.NewServeMux()
	for _, e := range endpoints {
		// Counted here and not by boxo, which does not see the status that is sent. Only
		// methods that are offered are counted: each has series of its own.
		counted := std.Handler(e.name, count, &endpoint{next: api, options: o, methods: e.methods, accept: e.accept, slots: slots})
		for _, method := range strings.Split(e.methods, ", ") {
			mux.Handle(method+" "+e.path, counted)
		}
		mux.HandleFunc(e.path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", e.methods)
			refuse(w, http.StatusMethodNotAllowed, "this path takes "+e.methods)
		})
	}
	mux.HandleFunc("PUT /routing/v1/providers/{$}", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotImplemented, "providing for others is not offered")
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
	slots           chan struct{} // of requests in progress
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin") // who may be told what depends on it
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

// allowReading lets pages of any origin read an answer, as the specification asks
// for: it holds nothing that the public DHT does not tell everybody.
func allowReading(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Etag, Expires, Retry-After")
}

// preflight says what pages of other origins may send: they may read, and not store.
func preflight(h http.Header, methods string) {
	allowReading(h)
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Accept, Cache-Control, Content-Type, If-Modified-Since, If-None-Match, User-Agent, X-Requested-With")
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Allow", methods)
}

// refuse answers with an error that nobody may keep.
func refuse(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, code)
}
