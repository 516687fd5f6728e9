package delegated

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// retryAfter is when a client should retry while the node has no peers, in seconds: twice
// the interval at which an isolated node retries its peers (dht.IsolatedRetry).
const retryAfter = "10"

// statusClientGone is the status that the metrics count for a client that disconnected
// before its answer. HTTP has no such status; nginx logs 499.
const statusClientGone = 499

// answer is the ResponseWriter that boxo's server writes to. For the result of a router
// that server knows only the statuses 200 and 500. answer replaces 500 with the right
// status and sets the headers that depend on it.
type answer struct {
	http.ResponseWriter
	log   *slog.Logger
	scope wire.Scope // of the addresses that the answer may contain
	head  bool       // the body is left out

	failed  atomic.Pointer[error] // the error of the node, if it could not answer
	begun   bool
	refused bool // the error has been written; the body from boxo is dropped
}

// answerKey is the context key of a request's answer.
type answerKey struct{}

func withAnswer(ctx context.Context, a *answer) context.Context {
	return context.WithValue(ctx, answerKey{}, a)
}

func answerOf(ctx context.Context) *answer { return ctx.Value(answerKey{}).(*answer) }

// fail records err as the reason that the node could not answer, and returns it.
// node.ErrNotFound is not recorded, because "not found" is an answer.
func (a *answer) fail(err error) error {
	if err != nil && !errors.Is(err, node.ErrNotFound) {
		a.failed.Store(&err)
	}
	return err
}

// problem returns the status and the text for an error of the node. The text of the error
// itself is not sent, because it may contain addresses.
func problem(err error) (code int, text string) {
	switch {
	case errors.Is(err, records.ErrOlder):
		return http.StatusConflict, "this node has a newer record"
	case errors.Is(err, records.ErrTooLarge):
		return http.StatusRequestEntityTooLarge, "the record is too large"
	case errors.Is(err, node.ErrInvalidKey):
		return http.StatusBadRequest, "this network does not accept this kind of key"
	case errors.Is(err, node.ErrNoAnswer), errors.Is(err, node.ErrClosed):
		return http.StatusServiceUnavailable, "no peer could be asked"
	case errors.Is(err, dht.ErrBusy), errors.Is(err, records.ErrBusy):
		return http.StatusServiceUnavailable, "the node is busy"
	case errors.Is(err, node.ErrNotTaken):
		return http.StatusBadGateway, "no peer stored the record"
	case errors.Is(err, context.Canceled):
		return statusClientGone, "the client has disconnected"
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "the request took more than " + lookupTimeout.String()
	}
	return http.StatusInternalServerError, "the node failed"
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(code int) {
	if a.begun {
		return
	}
	a.begun = true
	if err := a.failed.Load(); err != nil {
		a.refuse(*err)
		return
	}
	h := a.Header()
	switch kept := h.Get("Cache-Control"); {
	case code >= http.StatusBadRequest:
		h.Set("Cache-Control", "no-store")
	case a.scope != wire.ScopePublic:
		h.Set("Cache-Control", strings.Replace(kept, "public", "private", 1))
	}
	a.ResponseWriter.WriteHeader(code)
}

// refuse answers with the error instead of the answer from boxo's server.
func (a *answer) refuse(err error) {
	a.refused = true
	code, text := problem(err)
	h := a.Header()
	for _, name := range []string{"Etag", "Expires", "Last-Modified", "Content-Disposition"} {
		h.Del(name)
	}
	switch code {
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		h.Set("Retry-After", retryAfter)
	case http.StatusInternalServerError:
		a.log.Warn("a request for delegated routing failed", "err", err)
	}
	w := a.ResponseWriter
	if a.head {
		w = bodiless{w}
	}
	refuse(w, code, text)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.head || a.refused {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// Flush implements http.Flusher, so that records are sent as they are found.
func (a *answer) Flush() {
	if f, ok := a.ResponseWriter.(http.Flusher); ok && a.begun {
		f.Flush()
	}
}

// end completes an answer to which boxo's server has written nothing.
func (a *answer) end() { a.WriteHeader(http.StatusOK) }

// bodiless is a ResponseWriter that drops the body, for HEAD.
type bodiless struct{ http.ResponseWriter }

func (bodiless) Write(p []byte) (int, error) { return len(p), nil }
