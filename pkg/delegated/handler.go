package delegated

import (
	"net/http"
	"time"

	"github.com/ipfs/boxo/routing/http/server"
	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of the HTTP API. All of them are per listener: whoever needs them per
// client puts a proxy in front.
const (
	// MaxRequests bounds the requests in progress; more get 503. Each is a lookup
	// or two of the 256 that a node runs at once.
	MaxRequests = 64
	// MaxRecords bounds the records of a JSON answer (boxo's default: 20).
	MaxRecords = 100
	// MaxStreamed bounds the records of a streamed answer.
	MaxStreamed = 1000
	// LookupTimeout bounds one lookup (boxo's default).
	LookupTimeout = 30 * time.Second
	// maxBody bounds the body of a PUT in bytes: IPNS records have 10 KiB.
	maxBody = 16 << 10
)

// paths are those of boxo's server that are let through, by pattern of
// http.ServeMux. Announcing for others is left out: see the package.
var paths = []string{
	"GET /routing/v1/providers/{cid}",
	"GET /routing/v1/peers/{id}",
	"GET /routing/v1/dht/closest/peers/{key}",
	"GET /routing/v1/ipns/{name}",
	"PUT /routing/v1/ipns/{name}",
}

// Handler serves /routing/v1 from a node. Metrics of its requests go to registry.
func Handler(n Node, registry prometheus.Registerer) http.Handler {
	api := server.Handler(router{n},
		server.WithRecordsLimit(MaxRecords), server.WithStreamingRecordsLimit(MaxStreamed),
		server.WithRoutingTimeout(LookupTimeout), server.WithPrometheusRegistry(registry))
	b := &bounded{next: api, slots: make(chan struct{}, MaxRequests)}
	mux := http.NewServeMux()
	for _, p := range paths {
		mux.Handle(p, b)
	}
	mux.HandleFunc("PUT /routing/v1/providers/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "providing for others is not offered", http.StatusNotImplemented)
	})
	mux.HandleFunc("OPTIONS /routing/v1/", preflight)
	return mux
}

// bounded serves so many requests at once.
type bounded struct {
	next  http.Handler
	slots chan struct{}
}

// ServeHTTP implements http.Handler.
func (b *bounded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests in progress", http.StatusServiceUnavailable)
		return
	}
	if r.Method == http.MethodGet {
		allowReading(w.Header())
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	b.next.ServeHTTP(w, withAsker(r))
}

// allowReading lets pages of any origin read an answer, as the specification asks
// for: it holds nothing that the public DHT does not tell everybody.
func allowReading(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, OPTIONS")
}

func preflight(w http.ResponseWriter, _ *http.Request) {
	allowReading(w.Header())
	w.WriteHeader(http.StatusNoContent)
}
