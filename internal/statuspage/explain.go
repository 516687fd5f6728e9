package statuspage

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/explain"
)

// Traces returns the trace of a query, if it is still kept.
type Traces func(id uint64) (api.Trace, bool)

// ExplainLink returns the link to the page of a query, relative to the status page.
func ExplainLink(id uint64) string { return "explain/" + strconv.FormatUint(id, 10) }

// serveExplain serves the page of a query. The page names peers and a key, so it is refused
// under a host name.
func (traces Traces) serveExplain(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if underName(r.Host) {
		http.Error(w, "this page names peers: open it by IP address, or as localhost", http.StatusForbidden)
		return
	}
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	t, ok := api.Trace{}, false
	if err == nil {
		t, ok = traces(id)
	}
	if !ok {
		http.Error(w, fmt.Sprintf("no such lookup; the node keeps the last %d since its start", api.MaxTraces), http.StatusNotFound)
		return
	}
	var page bytes.Buffer
	if err := explain.HTML(&page, &t, t.KeyText()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", explain.ServedPolicy)
	_, _ = page.WriteTo(w) // it fails only if the client has disconnected
}
